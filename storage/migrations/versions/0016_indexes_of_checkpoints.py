"""LangGraph's checkpoint tables lose indexes that begin their primary keys: no plan needs them, every turn wrote them.

Rows of sessions are updated several times a turn: their pages keep room, so that the new version stays on the page.
"""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Drop the indexes and leave the room; PostgreSQL only."""
    if op.get_bind().dialect.name == "sqlite":
        return
    op.execute("drop index if exists checkpoints_thread_id_idx")
    op.execute("drop index if exists checkpoint_blobs_thread_id_idx")
    op.execute("drop index if exists checkpoint_writes_thread_id_idx")
    op.execute("alter table sessions set (fillfactor = 80)")
