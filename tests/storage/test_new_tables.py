"""An empty database gets its tables without Alembic, and they are those that Alembic's revisions make."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from storage import saver_tables
from storage.schema import HEAD, NEW_TABLES
from tests.databases import PostgresServer
from tests.storage.new_tables import Dialect, file_of, of_savers, recorded_postgresql, recorded_sqlite

ROOT = Path(__file__).parents[2]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
START = """
import asyncio, sys
from storage.schema import migrate
print([asyncio.run(migrate(sys.argv[1])) for _ in range(2)])
print(sorted({"alembic", "sqlalchemy", "langgraph", "langchain_core"}.intersection(sys.modules)))
"""


def written(dialect: Dialect) -> str:
    found = sorted(path.name for path in NEW_TABLES.glob("*.sql"))
    expected = [f"{HEAD}.postgresql.sql", f"{HEAD}.sqlite.sql", *sorted(saver_tables.file_of(d).name for d in DIALECTS)]
    assert found == expected, "after a new revision or release run: uv run python -m tests.storage.new_tables"
    return file_of(dialect).read_text(encoding="utf-8")


def test_a_new_sqlite_file_gets_what_the_revisions_do(tmp_path: Path) -> None:
    assert recorded_sqlite(tmp_path / "new.db") == written("sqlite")


def test_a_new_postgresql_database_gets_what_the_revisions_do(postgres: PostgresServer) -> None:
    assert recorded_postgresql(postgres) == written("postgresql")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_statements_of_the_savers_are_those_of_the_installed_release(dialect: Dialect) -> None:
    file = saver_tables.file_of(dialect)
    assert file.read_text(encoding="utf-8") == of_savers(dialect)
    assert saver_tables.saver_tables(dialect) == saver_tables.imported(dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_release_without_a_file_is_imported(dialect: Dialect, tmp_path: Path) -> None:
    assert saver_tables.saver_tables(dialect, files=tmp_path) == saver_tables.imported(dialect)


def started(url: str) -> list[str]:
    command = [sys.executable, "-c", START, url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def test_an_empty_database_gets_its_tables_without_alembic_and_langgraph(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with postgres.database(empty=True) as url:
        for empty in (url, f"sqlite:///{tmp_path}/new.db"):
            assert started(empty) == ["[True, False]", "[]"]
