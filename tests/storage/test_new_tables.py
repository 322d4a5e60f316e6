"""An empty database gets its tables without Alembic, and they are those that Alembic's revisions make."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from storage.schema import HEAD, NEW_TABLES
from tests.databases import PostgresServer
from tests.storage.new_tables import Dialect, file_of, recorded_postgresql, recorded_sqlite

ROOT = Path(__file__).parents[2]
START = """
import asyncio, sys
from storage.schema import migrate
print([asyncio.run(migrate(sys.argv[1])) for _ in range(2)])
print(sorted({name.partition(".")[0] for name in sys.modules} & {"alembic", "sqlalchemy"}))
"""


def written(dialect: Dialect) -> str:
    found = sorted(path.name for path in NEW_TABLES.glob("*.sql"))
    expected = [f"{HEAD}.postgresql.sql", f"{HEAD}.sqlite.sql"]
    assert found == expected, "after a new revision run: uv run python -m tests.storage.new_tables"
    return file_of(dialect).read_text(encoding="utf-8")


def test_a_new_sqlite_file_gets_what_the_revisions_do(tmp_path: Path) -> None:
    assert recorded_sqlite(tmp_path / "new.db") == written("sqlite")


def test_a_new_postgresql_database_gets_what_the_revisions_do(postgres: PostgresServer) -> None:
    assert recorded_postgresql(postgres) == written("postgresql")


def started(url: str) -> list[str]:
    command = [sys.executable, "-c", START, url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def test_a_start_on_an_empty_database_imports_no_alembic(postgres: PostgresServer, tmp_path: Path) -> None:
    with postgres.database(empty=True) as url:
        for empty in (url, f"sqlite:///{tmp_path}/new.db"):
            assert started(empty) == ["[True, False]", "[]"]
