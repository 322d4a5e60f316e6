"""A run that no attempt finishes is given up: how often it was taken over, when it may be again, why it failed."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns, and an index of the runs that were given up."""
    op.execute("alter table runs add column tries integer not null default 0")
    op.execute("alter table runs add column retry_at double precision not null default 0")
    op.execute("alter table runs add column reason text")
    op.execute("create index given_up_runs on runs (updated_at) where error = 'given_up'")
