"""Which client runs an approved call, where several follow a session."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; a call without it is run by whichever client asked."""
    op.execute("alter table tool_calls add column executor text")
