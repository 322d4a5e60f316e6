"""The statements that make the tables of an empty database: `python -m tests.storage.new_tables` writes the files.

Run it after a new revision, and after a new release of LangGraph's savers.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import psycopg
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

from storage import saver_tables
from storage.schema import HEAD, NEW_TABLES, enter_file, enter_schema, run_revisions
from tests.databases import PostgresServer, postgres_server

Dialect = Literal["postgresql", "sqlite"]
Prepare = Callable[[Callable[..., Any]], bool]
VERSION_TABLE = "CREATE TABLE alembic_version"


def file_of(dialect: Dialect) -> Path:
    """The file of a dialect, for the newest revision."""
    return NEW_TABLES / f"{HEAD}.{dialect}.sql"


def of_savers(dialect: Dialect) -> str:
    """The statements of LangGraph's savers."""
    return "".join(f"{statement};\n" for statement in saver_tables.imported(dialect))


def recorded(driver: str, connect: Callable[[], Any], prepare: Prepare) -> str:
    """Run all revisions by Alembic on an empty database; the statements that they ran, and the revision's own row.

    `prepare` makes LangGraph's tables before, as a start does.
    """
    engine = create_engine(driver, creator=connect, poolclass=NullPool)
    seen: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement.strip())

    try:
        with engine.begin() as connection:
            prepare(connection.exec_driver_sql)
            seen.clear()
            run_revisions(connection)
            connection.rollback()
    finally:
        engine.dispose()
    made = [s for s in seen if s.startswith(VERSION_TABLE) or not _is_of_alembic(s)]
    made.append(f"insert into alembic_version (version_num) values ('{HEAD}')")
    assert not any(";\n" in statement for statement in made), "a semicolon at the end of a line ends a statement"
    return "".join(f"{statement};\n" for statement in made)


def _is_of_alembic(statement: str) -> bool:
    """Whether Alembic or SQLAlchemy ran it for itself."""
    return any(sign in statement.lower() for sign in ("alembic_version", "pg_catalog", "pragma", "standard_conforming"))


def recorded_sqlite(file: Path) -> str:
    """The statements on a new SQLite file."""
    return recorded("sqlite://", lambda: sqlite3.connect(file, isolation_level=None), enter_file)


def recorded_postgresql(server: PostgresServer) -> str:
    """The statements on a new database of a server."""
    with server.database(empty=True) as url:
        return recorded("postgresql+psycopg://", lambda: psycopg.connect(url), enter_schema)


if __name__ == "__main__":
    with postgres_server() as running, tempfile.TemporaryDirectory() as folder:
        texts: dict[Dialect, str] = {
            "sqlite": recorded_sqlite(Path(folder, "new.db")),
            "postgresql": recorded_postgresql(running),
        }
    for old in NEW_TABLES.glob("*.sql"):
        old.unlink()
    for dialect, text in texts.items():
        for file, statements in ((file_of(dialect), text), (saver_tables.file_of(dialect), of_savers(dialect))):
            file.write_text(statements, encoding="utf-8")
            print(f"written: {file}")
