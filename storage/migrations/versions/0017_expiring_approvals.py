"""Approvals that have run out are found by their time: every process looks for them every two seconds."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Create the index."""
    op.execute("create index pending_approvals on tool_calls (expires_at) where state = 'pending'")
