"""Logins of the console; a cookie and a key are stored as hashes only."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table."""
    op.execute(
        "create table console_logins (token_hash text primary key, key_hash text not null, principal text not null,"
        " end_user text not null, expires_at text not null)"
    )
    op.execute("create index console_logins_by_user on console_logins (principal, end_user)")
