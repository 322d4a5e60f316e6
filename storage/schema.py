"""The schema: Alembic for our tables, the savers' own set-up for LangGraph's, both only when they are behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from errors import ConfigurationError
from storage.address import read_url
from storage.database import ADVISORY_NAMESPACE, MIGRATION_LOCK

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
"""The newest revision: revisions are numbered, and a file begins with its number."""
LOCK_POLL_S = 0.1
LOCK_WAIT_S = 60.0


async def migrate(url: str) -> bool:
    """Bring the database to the schema of this version; returns whether anything was to do.

    Several processes may start at once: one migrates, the others wait for it.
    """
    address = read_url(url)
    if address.dialect == "sqlite":
        return await asyncio.to_thread(_migrate_sqlite, address.target)
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(address.target, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise ConfigurationError(
            "PostgreSQL does not answer: check AGENT_RUNTIME__DB_URL and that the server is running."
        ) from error
    async with connection:
        if await _revision(connection) == HEAD:
            return False
        async with _migration_lock(connection):
            if await _revision(connection) == HEAD:
                return False
            from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

            await AsyncPostgresSaver(connection).setup()  # type: ignore[arg-type] # sets its own row factory
            await asyncio.to_thread(_upgrade, "postgresql+psycopg://" + address.target.removeprefix("postgresql://"))
    return True


@asynccontextmanager
async def _migration_lock(connection: Any) -> AsyncIterator[None]:
    # Polled: a blocking lock would hang the savers' CREATE INDEX CONCURRENTLY, which waits for the waiter.
    keys = (ADVISORY_NAMESPACE, MIGRATION_LOCK)
    async with asyncio.timeout(LOCK_WAIT_S):
        while True:
            cursor = await connection.execute("select pg_try_advisory_lock(%s, %s)", keys)
            if (await cursor.fetchone())[0]:
                break
            await asyncio.sleep(LOCK_POLL_S)
    try:
        yield
    finally:
        await connection.execute("select pg_advisory_unlock(%s, %s)", keys)


async def _revision(connection: Any) -> str | None:
    cursor = await connection.execute("select to_regclass('alembic_version') is not null")
    if not (await cursor.fetchone())[0]:
        return None
    cursor = await connection.execute("select version_num from alembic_version")
    row = await cursor.fetchone()
    return row[0] if row else None


def _migrate_sqlite(path: str) -> bool:
    Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        exists = connection.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone()
        row = connection.execute("select version_num from alembic_version").fetchone() if exists else None
    connection.close()
    if row and row[0] == HEAD:
        return False
    _upgrade(f"sqlite:///{path}")
    return True


def _upgrade(url: str) -> None:
    # Alembic takes a third of a second to import: only a database that is behind pays for it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    command.upgrade(config, HEAD)
