"""What was spent, how far a user let a budget go, and pauses of a new kind: the question about a used-up budget."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create the table, and drop the list of kinds from `tool_calls`: SQLite drops a check with its column alone."""
    op.execute(
        "create table spending (scope text not null check (scope in ('turn', 'session', 'owner')), name text not null,"
        " day text not null, session_id text references sessions (id) on delete cascade,"
        " tokens bigint not null default 0, nano_usd bigint not null default 0,"
        " allowed_tokens bigint not null default 0, allowed_nano_usd bigint not null default 0,"
        " primary key (scope, name, day))"
    )
    op.execute("create index spending_by_session on spending (session_id)")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("alter table tool_calls drop constraint tool_calls_kind_check")
        return
    op.execute("alter table tool_calls rename column kind to listed_kind")
    op.execute("alter table tool_calls add column kind text not null default ''")
    op.execute("update tool_calls set kind = listed_kind")
    op.execute("alter table tool_calls drop column listed_kind")
