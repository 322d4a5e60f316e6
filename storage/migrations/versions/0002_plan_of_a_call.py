"""A plan review names its plan in a column of its own.

Its verdict, where version 0.3.0 looks for the plan, stays: a process of that version can decide what it has asked.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column, and fill it for the reviews of earlier versions."""
    op.execute("alter table tool_calls add column plan_id text")
    op.execute(
        "update tool_calls set plan_id = (select p.plan_id from plans p"
        " where p.session_id = tool_calls.session_id and p.call_id = tool_calls.call_id)"
        " where kind = 'plan_review'"
    )
