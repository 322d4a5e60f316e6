"""A reply that was asked about once more counts as `reprompted`, the name that settings, reports and documents use."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Rename the outcome in the rows of earlier versions."""
    op.execute("update llm_calls set outcome = 'reprompted' where outcome = 'insisted'")
