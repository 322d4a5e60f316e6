"""A call that carries out a part of the model's call names that call: its tool message answers the model's."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; earlier versions made no such calls."""
    op.execute("alter table tool_calls add column part_of text")
