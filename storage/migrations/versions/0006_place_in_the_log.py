"""What replaying a session needs: where each message lies in the event log, and what each model call was given."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; messages of earlier versions are placed by their time."""
    op.execute("alter table messages add column after_seq bigint")
    op.execute(
        "update messages set after_seq = (select max(e.seq) from events e"
        " where e.session_id = messages.session_id and e.at <= messages.created_at)"
    )
    op.execute("alter table llm_calls add column message_id text")
    op.execute("alter table llm_calls add column tools_hash text")
    op.execute("alter table llm_calls add column retries integer not null default 0")
