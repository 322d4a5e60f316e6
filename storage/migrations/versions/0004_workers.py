"""The lease of a worker is one row, so that a locked run delays no other run's lease.

`runs.lease_until` stays for processes of earlier versions: they renew it, and take over a run when it has passed.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    op.execute("create table workers (id bigint primary key, lease_until double precision not null)")
