"""The first tables: plain SQL for both dialects in the file beside this one."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

_IDENTITY = {
    "postgresql": "bigint generated always as identity primary key",
    "sqlite": "integer primary key autoincrement",
}


def upgrade() -> None:
    """Create every table; a statement ends with a semicolon at the end of a line."""
    text = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    text = text.replace("{{identity}}", _IDENTITY[op.get_bind().dialect.name])
    for statement in text.split(";\n"):
        if statement.strip():
            op.execute(statement)
