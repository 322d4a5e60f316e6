"""Model calls have one index instead of two: their key begins with the session, by which every statement finds them."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Replace the key and the index; PostgreSQL only, SQLite would have to write the table anew."""
    if op.get_bind().dialect.name == "sqlite":
        return
    op.execute("alter table llm_calls drop constraint llm_calls_pkey, add primary key (session_id, id)")
    op.execute("drop index llm_calls_by_session")
