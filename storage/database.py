"""Connections: one pool on PostgreSQL, one guarded connection on SQLite, the same named statements over both."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import unquote

import aiosql

from errors import ConfigurationError, NotReady

Dialect = Literal["sqlite", "postgresql"]
ADVISORY_NAMESPACE = 0x41524E54
"""First key of every advisory lock of ours; the second is a worker or MIGRATION_LOCK."""
MIGRATION_LOCK = 1
POOL_MIN = 2
POOL_MAX = 16
CONNECT_TIMEOUT_S = 2.5
"""How long a request waits for a connection before it is told 503."""
RETRY_S = 0.2
KEEPALIVES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
"""A database host that vanished is noticed in about ten seconds, not in two hours."""
_SQL = Path(__file__).parent / "sql"
_POSTGRES_FORMS = ("postgresql+asyncpg://", "postgresql+psycopg://", "postgresql://", "postgres://")
_SQLITE_FORMS = ("sqlite+aiosqlite:///", "sqlite:///")
IDLE_TRANSACTION_MS = 10_000

Found = TypeVar("Found")


async def patiently(step: Callable[[], Awaitable[Found]]) -> Found:
    """Repeat a step while the database is away: what belongs to a run waits and goes on."""
    while True:
        try:
            return await step()
        except NotReady:
            await asyncio.sleep(RETRY_S)


@dataclass(frozen=True)
class Address:
    """A database URL, read: the dialect, and what its driver connects to (a path or a libpq URL)."""

    dialect: Dialect
    target: str


def read_url(url: str) -> Address:
    """Read a `DB_URL` in any form that deployments carry; raises ConfigurationError for another."""
    for form in _POSTGRES_FORMS:
        if url.startswith(form):
            return Address("postgresql", "postgresql://" + url.removeprefix(form))
    for form in _SQLITE_FORMS:
        if url.startswith(form) and len(url) > len(form):
            return Address("sqlite", unquote(url.removeprefix(form)))
    raise ConfigurationError(
        "AGENT_RUNTIME__DB_URL is not usable: write sqlite:///path/to/file.db or postgresql://user@host/name."
    )


@cache
def _statements(dialect: Dialect) -> Any:
    driver = "apsycopg" if dialect == "postgresql" else "aiosqlite"
    queries = aiosql.from_path(str(_SQL / "common"), driver)
    own = aiosql.from_path(str(_SQL / dialect), driver)
    for name in own.available_queries:
        if not name.endswith("_cursor"):
            setattr(queries, name, getattr(own, name))
    return queries


class Transaction:
    """One open transaction: `await tx.value("name", …)`, `row`, `rows`, `run` execute named statements of `sql/`."""

    def __init__(self, connection: Any, dialect: Dialect) -> None:
        self.connection = connection
        self.dialect = dialect
        self._queries = _statements(dialect)

    def _call(self, name: str, parameters: dict[str, Any]) -> Any:
        return getattr(self._queries, name)(self.connection, **parameters)

    async def value(self, name: str, **parameters: Any) -> Any:
        """Run a `$` statement: the first column of its row, or None."""
        return await self._call(name, parameters)

    async def row(self, name: str, **parameters: Any) -> tuple[Any, ...] | None:
        """Run a `^` statement: its row, or None."""
        found = await self._call(name, parameters)
        return None if found is None else tuple(found)

    async def rows(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement that gives rows."""
        found = self._call(name, parameters)
        if isinstance(found, Awaitable):
            found = await found
        if hasattr(found, "__aiter__"):
            return [tuple(row) async for row in found]
        return [tuple(row) for row in found]

    async def run(self, name: str, **parameters: Any) -> int:
        """Run a `!` statement: how many rows it changed."""
        return int(await self._call(name, parameters))


class Database(ABC):
    """Where everything is kept; open it once per process."""

    dialect: Dialect
    name: str = "agent-runtime"
    """How this process signs its bells, so that it need not hear its own."""

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction: committed at the end, rolled back on an error; raises NotReady without a database."""

    @abstractmethod
    def autocommit(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a connection on which every statement is its own transaction."""

    @abstractmethod
    async def close(self) -> None:
        """Give every connection back."""


@contextmanager
def postgres_errors() -> Iterator[None]:
    """Translate what psycopg and its pool raise while the database is away, restarts or fails over."""
    import psycopg

    away = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
    try:
        yield
    except away as error:
        raise NotReady from error


async def _limit_idle_transactions(connection: Any) -> None:
    """A process that is stopped in the middle of a transaction must not hold its session's lock for ever."""
    await connection.execute(f"set idle_in_transaction_session_timeout = {IDLE_TRANSACTION_MS}")


class PostgresDatabase(Database):
    """One `AsyncConnectionPool`, shared with LangGraph's savers."""

    dialect: Dialect = "postgresql"

    def __init__(self, conninfo: str) -> None:
        from psycopg_pool import AsyncConnectionPool

        self.conninfo = conninfo
        self.name = f"agent-runtime-{secrets.token_hex(6)}"
        self.pool: Any = AsyncConnectionPool(
            conninfo,
            min_size=POOL_MIN,
            max_size=POOL_MAX,
            open=False,
            timeout=CONNECT_TIMEOUT_S,
            reconnect_timeout=0.5,
            kwargs={**self.options, "prepare_threshold": 0},
            configure=_limit_idle_transactions,
            check=AsyncConnectionPool.check_connection,
        )

    @property
    def options(self) -> dict[str, Any]:
        """How every connection of this process is opened."""
        seconds = max(2, round(CONNECT_TIMEOUT_S))
        return {"autocommit": True, "application_name": self.name, "connect_timeout": seconds, **KEEPALIVES}

    async def open(self) -> None:
        """Connect, or raise ConfigurationError when nobody answers."""
        from psycopg_pool import PoolTimeout

        try:
            await self.pool.open(wait=True, timeout=CONNECT_TIMEOUT_S * 3)
        except PoolTimeout as error:
            await self.pool.close()
            raise ConfigurationError(
                "PostgreSQL does not answer: check AGENT_RUNTIME__DB_URL and that the server is running."
            ) from error

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Transaction]:
        """See Database."""
        with postgres_errors():
            async with self.pool.connection() as connection:
                yield Transaction(connection, "postgresql")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """See Database."""
        async with self.autocommit() as tx, tx.connection.transaction():
            yield tx

    async def close(self) -> None:
        """See Database."""
        await self.pool.close()


@contextmanager
def sqlite_errors() -> Iterator[None]:
    """Translate a file that somebody else holds for longer than the busy timeout."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # The low byte is the kind; extended codes only say more precisely why.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise NotReady from error
        raise


class SqliteDatabase(Database):
    """One connection behind one lock: a reader never sees what another task has not committed."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: Any = None
        self._guard = asyncio.Lock()
        self._file_lock: Any = None

    async def open(self) -> None:
        """Open the file, alone: one process at a time serves a SQLite file."""
        import aiosqlite

        Path(self.path).absolute().parent.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 once, at the start
        self._file_lock = _lock_file(self.path)
        self._connection = await aiosqlite.connect(self.path, isolation_level=None, timeout=10)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
            await self._connection.execute(f"pragma {pragma}")

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Transaction]:
        """See Database."""
        async with self._guard:
            with sqlite_errors():
                yield Transaction(self._connection, "sqlite")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """See Database."""
        async with self._guard:
            try:
                with sqlite_errors():
                    await self._connection.execute("begin immediate")
                    yield Transaction(self._connection, "sqlite")
                    await self._connection.execute("commit")
            except BaseException:
                # The connection works its statements off in order: this comes after whatever was cut off.
                await asyncio.shield(self._roll_back())
                raise

    async def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.OperationalError):  # when nothing is open there is nothing to undo
            await self._connection.execute("rollback")

    async def close(self) -> None:
        """See Database."""
        if self._connection is not None:
            await self._connection.close()
        if self._file_lock is not None:
            self._file_lock.close()


def _lock_file(path: str) -> Any:
    """Hold `<path>.lock` for the life of the process; the system frees it when the process dies."""
    lock = open(f"{path}.lock", "a+")  # noqa: SIM115 held until close()
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError as error:
        lock.close()
        raise ConfigurationError(
            f"Another process serves the SQLite file {path}: stop it, choose another file, or use PostgreSQL."
        ) from error
    return lock


async def open_database(url: str) -> Database:
    """Connect to the database of `DB_URL`; its schema is not touched (see `storage.schema`)."""
    address = read_url(url)
    database = PostgresDatabase(address.target) if address.dialect == "postgresql" else SqliteDatabase(address.target)
    await database.open()
    return database
