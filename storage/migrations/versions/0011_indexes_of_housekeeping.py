"""Sweeping and purging look sessions up by an index, however many there are."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the indexes: what is alive by its last activity, what is deleted by when."""
    op.execute("create index idle_sessions on sessions (last_activity) where deleted_at is null")
    op.execute("create index deleted_sessions on sessions (deleted_at) where deleted_at is not null")
