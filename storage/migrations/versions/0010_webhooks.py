"""The outbox of webhooks: rows are written with what they tell and removed once they are delivered or given up."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table."""
    op.execute(
        "create table webhooks (id text primary key, session_id text not null references sessions on delete cascade,"
        " event text not null, payload text not null, tries integer not null default 0, next_at text not null)"
    )
    op.execute("create index webhooks_by_next_at on webhooks (next_at)")
    op.execute("create index webhooks_by_session on webhooks (session_id)")
