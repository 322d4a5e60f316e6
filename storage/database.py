"""A database, whichever it is: its URL, its transactions, the same named statements over both dialects."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
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
RETRY_S = 0.2
_SQL = Path(__file__).parent / "sql"
_POSTGRES_FORMS = ("postgresql+asyncpg://", "postgresql+psycopg://", "postgresql://", "postgres://")
_SQLITE_FORMS = ("sqlite+aiosqlite:///", "sqlite:///")

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
    queries = aiosql.from_path(str(_SQL / "both"), driver)
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


async def open_database(url: str) -> Database:
    """Connect to the database of `DB_URL`; its schema is not touched (see `storage.schema`)."""
    address = read_url(url)
    if address.dialect == "postgresql":
        from storage.postgres import PostgresDatabase

        postgres = PostgresDatabase(address.target)
        await postgres.open()
        return postgres
    from storage.sqlite import SqliteDatabase

    sqlite = SqliteDatabase(address.target)
    await sqlite.open()
    return sqlite
