"""Our tables stand apart from the original's, and a migration leaves everything or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from errors import ConfigurationError
from storage.address import read_url
from storage.home import SCHEMA, own_file
from storage.schema import HEAD, migrate
from tests.databases import PostgresServer
from tests.ide import Ide, answer_of
from tests.running import api_client, running_server
from tests.storage.databases_0_3_0 import load_0_3_0, sqlite_0_3_0
from tests.storage.original import State, contents, make_original

ROOT = Path(__file__).parent.parent.parent
STATES: tuple[State, ...] = ("january", "planning", "newest")
HALF_WAY = """
import time

from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.execute("create table half (id text)")
    op.execute("alter table sessions add column half text")
    print("half-way", flush=True)
    time.sleep(60)
"""
MIGRATE = "import asyncio, sys; from storage.schema import migrate; asyncio.run(migrate(sys.argv[1]))"


def everything(url: str) -> set[str]:
    """Every table with its columns, wherever it is."""
    address = read_url(url)
    if address.dialect == "sqlite":
        if not Path(address.target).exists():
            return set()
        with contextlib.closing(sqlite3.connect(address.target)) as connection:
            return {f"{name}: {sql}" for name, sql in connection.execute("select name, sql from sqlite_master")}
    with psycopg.connect(address.target) as connection:
        schemas = [f"schema {row[0]}" for row in connection.execute("select nspname from pg_namespace")]
        columns = connection.execute(
            "select table_schema || '.' || table_name || '.' || column_name from information_schema.columns "
            "where table_schema not in ('pg_catalog', 'information_schema')"
        )
        return {name for name in schemas if not name.startswith("schema pg_")} | {row[0] for row in columns}


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("state", STATES)
def test_the_server_starts_beside_the_tables_of_the_original(empty_url: str, state: State, versioned: bool) -> None:
    make_original(empty_url, state, versioned=versioned)
    before = contents(empty_url, state)
    for turn in ("First.", "Second."):
        with running_server(db_url=empty_url) as url, api_client(url) as client:
            assert client.get("/ready").json()["status"] == "ready"
            assert answer_of(Ide(client, session_id="s1").say(f'#script\n[{{"text": "{turn}"}}]')) == turn
            history = client.get("/sessions/s1/history").json()["messages"]
            assert history[1]["content"] == "First."
    assert contents(empty_url, state) == before


def test_a_file_of_the_original_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "agent_runtime.db"
    make_original(f"sqlite:///{path}", "newest")
    before = path.read_bytes()
    with running_server(db_url=f"sqlite:///{path}"):
        pass
    assert path.read_bytes() == before
    assert own_file(str(path)) == str(tmp_path / "agent_runtime.runtime.db")


async def test_a_file_that_version_0_3_0_left_half_made_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "half.db"
    url = sqlite_0_3_0(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("delete from alembic_version")
        connection.execute("drop table llm_calls")
    with pytest.raises(ConfigurationError, match="remove the file and start again"):
        await migrate(url)


async def test_a_fresh_database_gets_a_schema_of_its_own(postgres: PostgresServer) -> None:
    with postgres.database(empty=True) as url:
        await migrate(url)
        with psycopg.connect(url) as connection:
            found = connection.execute(
                "select distinct schemaname from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
            ).fetchall()
    assert found == [(SCHEMA,)]


async def test_statements_that_a_newer_langgraph_brings_are_run(postgres: PostgresServer) -> None:
    with postgres.database(empty=True) as url:
        await migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            newest = connection.execute(f"select max(v) from {SCHEMA}.checkpoint_migrations").fetchone()
            connection.execute(f"delete from {SCHEMA}.checkpoint_migrations where v = %s", newest)
        assert await migrate(url)
        assert not await migrate(url)


async def test_tables_of_version_0_3_0_stay_where_running_processes_of_that_version_use_them(
    postgres: PostgresServer,
) -> None:
    with postgres.database(empty=True) as url:
        load_0_3_0(url)
        before = everything(url)
        await migrate(url)
        assert before <= everything(url)
        assert f"schema {SCHEMA}" not in everything(url)


async def test_a_role_that_may_not_create_schemas_is_told_what_to_do(postgres: PostgresServer) -> None:
    with postgres.database(empty=True) as url, psycopg.connect(url, autocommit=True) as admin:
        admin.execute("create role restricted login")
        try:
            limited = url.replace("postgresql://postgres:@", "postgresql://restricted@").replace(
                "postgresql://postgres@", "postgresql://restricted@"
            )
            with pytest.raises(ConfigurationError, match="create schema agent_runtime authorization"):
                await migrate(limited)
            admin.execute(f"create schema {SCHEMA} authorization restricted")
            assert await migrate(limited)
            assert not await migrate(limited)
        finally:
            admin.execute("drop owned by restricted cascade")
            admin.execute("drop role restricted")


@pytest.fixture
def tree_with_a_slow_revision(tmp_path: Path) -> Path:
    """A copy of our storage whose newest revision stops in the middle."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "storage", tree / "storage", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("errors.py", "json_text.py"):
        shutil.copy(ROOT / name, tree / name)
    revision = tree / "storage" / "migrations" / "versions" / "9999_half_way.py"
    revision.write_text(HALF_WAY.replace("{head}", HEAD), encoding="utf-8")
    return tree


@pytest.mark.parametrize("start", ["fresh", "0.3.0"])
def test_a_migration_killed_in_the_middle_leaves_nothing(
    empty_url: str, start: str, tree_with_a_slow_revision: Path
) -> None:
    if start == "0.3.0":
        address = read_url(empty_url)
        if address.dialect == "sqlite":
            sqlite_0_3_0(Path(address.target))
        else:
            load_0_3_0(empty_url)
    before = everything(empty_url)
    command = [sys.executable, "-c", MIGRATE, empty_url]
    running: Any = subprocess.Popen(command, cwd=tree_with_a_slow_revision, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout.readline() == "half-way\n"
    finally:
        running.kill()
        running.wait(timeout=10)
        running.stdout.close()
    # The next migration waits until the database has noticed that the process is gone.
    changed = asyncio.run(migrate(empty_url))
    after = everything(empty_url)
    assert not any("half" in name for name in after)
    assert {name.split(": ")[0] for name in before} <= {name.split(": ")[0] for name in after}
    assert changed


async def test_a_migration_waits_for_requests_and_never_costs_one(postgres: PostgresServer) -> None:
    """A request holds the table that the migration wants, and then wants one that the migration has changed."""
    waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with postgres.database(empty=True) as url:
        load_0_3_0(url)
        with psycopg.connect(url) as request, psycopg.connect(url, autocommit=True) as watch:
            request.execute("select 1 from runs")
            migration = asyncio.create_task(migrate(url))
            for _ in range(400):
                if watch.execute(waiting).fetchone():
                    break
                await asyncio.sleep(0.05)
            tables = ("sessions", "messages", "events", "tool_calls", "checkpoints")
            await asyncio.to_thread(lambda: [request.execute(f"select 1 from {name} limit 1") for name in tables])
            assert not migration.done()
            request.commit()
        assert await migration


async def test_a_version_refuses_a_schema_that_a_newer_one_calls_incompatible(empty_url: str) -> None:
    await migrate(empty_url)
    address = read_url(empty_url)
    newer = [
        "update {}alembic_version set version_num = '9998'",
        "update {}schema_compatibility set compatible_from = '9997'",
    ]
    if address.dialect == "sqlite":
        with contextlib.closing(sqlite3.connect(address.target, isolation_level=None)) as connection:
            for statement in newer:
                connection.execute(statement.format(""))
    else:
        with psycopg.connect(address.target, autocommit=True) as connection:
            for statement in newer:
                connection.execute(statement.format(f"{SCHEMA}."))
    with pytest.raises(ConfigurationError, match=r"9998.*9997"):
        await migrate(empty_url)


async def test_a_version_runs_on_the_schema_of_a_newer_one(empty_url: str, tmp_path: Path) -> None:
    await migrate(empty_url)
    address = read_url(empty_url)
    newer = "update {}alembic_version set version_num = '9998'"
    if address.dialect == "sqlite":
        with contextlib.closing(sqlite3.connect(address.target, isolation_level=None)) as connection:
            connection.execute(newer.format(""))
    else:
        with psycopg.connect(address.target, autocommit=True) as connection:
            connection.execute(newer.format(f"{SCHEMA}."))
    with running_server(db_url=empty_url) as url, api_client(url) as client:
        assert answer_of(Ide(client, session_id="s1").say('#script\n[{"text": "Still."}]')) == "Still."
