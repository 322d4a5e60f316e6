"""The statements with which LangGraph's savers make their tables, read without importing the savers.

For the releases that a file in `storage/migrations/new/` is named after; another release is imported, which takes half
a second of a start. `python -m tests.storage.new_tables` writes the files.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Literal

FILES = Path(__file__).parent / "migrations" / "new"
PACKAGES = {"postgresql": "langgraph-checkpoint-postgres", "sqlite": "langgraph-checkpoint-sqlite"}


def saver_tables(dialect: Literal["postgresql", "sqlite"], files: Path = FILES) -> list[str]:
    """Return the statements of the installed release; on PostgreSQL the place of each is its version."""
    file = file_of(dialect, files)
    return read_statements(file) if file.is_file() else imported(dialect)


def file_of(dialect: Literal["postgresql", "sqlite"], files: Path = FILES) -> Path:
    """The file for the installed release."""
    package = PACKAGES[dialect]
    return files / f"{package}-{version(package)}.sql"


def read_statements(file: Path) -> list[str]:
    """Read the statements of a file; each ends with a semicolon at the end of a line."""
    return [statement for statement in file.read_text(encoding="utf-8").split(";\n") if statement.strip()]


def imported(dialect: Literal["postgresql", "sqlite"]) -> list[str]:
    """Return the statements that the savers' modules hold."""
    if dialect == "sqlite":
        return asyncio.run(_of_sqlite())
    from langgraph.checkpoint.postgres.base import MIGRATIONS

    return [statement.strip().removesuffix(";") for statement in MIGRATIONS]


async def _of_sqlite() -> list[str]:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        await saver.setup()
        cursor = await saver.conn.execute("select sql from sqlite_master where sql is not null")
        made = [str(statement) for (statement,) in await cursor.fetchall()]
    return [
        statement.replace(f"CREATE {kind} ", f"CREATE {kind} IF NOT EXISTS ", 1)
        for statement in made
        for kind in ("TABLE", "INDEX")
        if statement.startswith(f"CREATE {kind} ")
    ]
