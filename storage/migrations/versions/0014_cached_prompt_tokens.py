"""How much of the prompt of a model call the server had in its cache, so that the call has its true price."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column; null where the server did not say, and for the calls before this revision."""
    op.execute("alter table llm_calls add column cached_tokens integer")
