"""Connections: errors translated once, transactions that survive a cancel, a file that another process has locked."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import psycopg
import pytest

from errors import ConfigurationError, NotReady
from storage.address import read_url
from storage.connect import open_database
from storage.postgres import PostgresDatabase, postgres_errors
from storage.schema import migrate
from storage.sqlite import BUSY_TIMEOUT_S, GUARD_WAIT_S, SqliteDatabase
from storage.statements import statements
from storage.tables import sessions
from tests.databases import PostgresServer

WAITING = 40
QUEUE_S = 5.0


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgres://u@h/d", "postgresql://u@h/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql://u@h/d"),
        ("sqlite:///data/a.db", "data/a.db"),
        ("sqlite+aiosqlite:////tmp/a%20b.db", "/tmp/a b.db"),  # noqa: S108 nothing is opened
    ],
)
def test_every_form_of_url_is_read(url: str, target: str) -> None:
    assert read_url(url).target == target


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite:///", "", "data/a.db"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        read_url(url)


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError(),
        psycopg.InterfaceError(),
        psycopg.errors.AdminShutdown(),
        psycopg.errors.CannotConnectNow(),
        psycopg.errors.ReadOnlySqlTransaction(),
    ],
)
def test_a_database_that_is_away_is_not_ready(error: Exception) -> None:
    with pytest.raises(NotReady), postgres_errors():
        raise error


def test_a_wrong_statement_is_no_outage() -> None:
    with pytest.raises(psycopg.errors.UndefinedTable), postgres_errors():
        raise psycopg.errors.UndefinedTable


async def test_broken_connections_of_the_pool_never_surface(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        database = await open_database(url)
        assert isinstance(database, PostgresDatabase)
        try:
            for _ in range(5):
                async with database.autocommit() as tx:
                    assert await sessions.find_any(tx, "s") is None
                with psycopg.connect(url, autocommit=True) as other:
                    other.execute(
                        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = %s",
                        (database.name,),
                    )
        finally:
            await database.close()


async def test_a_cancelled_transaction_leaves_nothing_behind(db_url: str) -> None:
    await migrate(db_url)
    database = await open_database(db_url)
    try:
        for turn in range(30):

            async def write(name: str = f"s{turn}") -> None:
                async with database.transaction() as tx:
                    await sessions.create(tx, name, "")
                    await asyncio.sleep(10)

            writing = asyncio.create_task(write())
            await asyncio.sleep(0.0005 * turn)
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
            async with database.transaction() as tx:
                assert await sessions.find_any(tx, f"s{turn}") is None
    finally:
        await database.close()


async def test_a_file_that_another_program_holds_is_not_ready_and_then_served(tmp_path: Path) -> None:
    path = tmp_path / "held.db"
    await migrate(f"sqlite:///{path}")
    database = await open_database(f"sqlite:///{path}")
    assert isinstance(database, SqliteDatabase)
    try:
        await database._connection.execute("pragma busy_timeout=50")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin immediate")
            with pytest.raises(NotReady):
                async with database.transaction() as tx:
                    await sessions.create(tx, "s", "")
            other.execute("rollback")
        async with database.transaction() as tx:
            assert await sessions.create(tx, "s", "")
    finally:
        await database.close()


async def test_a_long_queue_for_a_file_is_served(tmp_path: Path) -> None:
    """A request waits as long as those before it are served: longer than for one that is not."""
    path = tmp_path / "queue.db"
    await migrate(f"sqlite:///{path}")
    database = SqliteDatabase(str(path), statements("sqlite"), guard_wait_s=QUEUE_S / 2)
    await database.open()

    async def write(number: int) -> None:
        async with database.transaction() as tx:
            assert await sessions.create(tx, f"s{number}", "")
            await asyncio.sleep(QUEUE_S / WAITING)

    try:
        await asyncio.gather(*(write(number) for number in range(WAITING)))
    finally:
        await database.close()


async def test_a_long_queue_for_a_locked_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    await migrate(f"sqlite:///{path}")
    database = SqliteDatabase(str(path), statements("sqlite"), guard_wait_s=WAITING * BUSY_TIMEOUT_S)
    await database.open()

    async def write(number: int) -> bool:
        try:
            async with database.transaction() as tx:
                return await sessions.create(tx, f"s{number}", "")
        except NotReady:
            return False

    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin immediate")
            async with asyncio.timeout(WAITING * BUSY_TIMEOUT_S / 2):  # less than one after another
                written = await asyncio.gather(*(write(number) for number in range(WAITING)))
            other.execute("rollback")
        assert not any(written)
        assert await write(WAITING), "the queue is left as it was"
    finally:
        await database.close()


async def test_a_cancelled_wait_for_a_file_leaves_it_free(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'left.db'}"
    await migrate(url)
    database = await open_database(url)

    async def read() -> None:
        async with database.autocommit() as tx:
            await sessions.find_any(tx, "s")

    try:
        for yields in range(8):  # cancelled at every step of its way through the queue
            async with database.transaction():
                waiting = [asyncio.create_task(read()) for _ in range(3)]
                await asyncio.sleep(0)
            for _ in range(yields):
                await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            async with asyncio.timeout(GUARD_WAIT_S):
                await read()
    finally:
        await database.close()


async def test_one_process_serves_a_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'one.db'}"
    first = await open_database(url)
    try:
        with pytest.raises(ConfigurationError, match="Another process"):
            await open_database(url)
    finally:
        await first.close()
