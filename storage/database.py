"""The database interface: transactions, and the same named statements in both dialects."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, TypeVar

from errors import NotReady

Dialect = Literal["sqlite", "postgresql"]
ADVISORY_NAMESPACE = 0x41524E54
"""The first key of every advisory lock of the runtime; the second is a worker's number or MIGRATION_LOCK."""
MIGRATION_LOCK = 1
RETRY_S = 0.2

Found = TypeVar("Found")


async def patiently(step: Callable[[], Awaitable[Found]]) -> Found:
    """Repeat a step while the database is not reachable: the work of a run waits and continues."""
    while True:
        try:
            return await step()
        except NotReady:
            await asyncio.sleep(RETRY_S)


class Transaction:
    """One open transaction: `await tx.value("name", …)`, `row`, `rows`, `run` execute named statements of `sql/`."""

    def __init__(self, connection: Any, dialect: Dialect, statements: Any) -> None:
        self.connection = connection
        self.dialect = dialect
        self._statements = statements

    def _call(self, name: str, parameters: dict[str, Any]) -> Any:
        return getattr(self._statements, name)(self.connection, **parameters)

    async def value(self, name: str, **parameters: Any) -> Any:
        """Execute a `$` statement and return the first column of its row, or None."""
        return await self._call(name, parameters)

    async def row(self, name: str, **parameters: Any) -> Any:
        """Execute a `^` statement and return its row as a named tuple, or None."""
        return await self._call(name, parameters)

    async def rows(self, name: str, **parameters: Any) -> list[Any]:
        """Execute a statement and return its rows as named tuples."""
        return [row async for row in self._call(name, parameters)]

    async def run(self, name: str, **parameters: Any) -> int:
        """Execute a `!` statement and return the number of changed rows."""
        return int(await self._call(name, parameters))


class Database(ABC):
    """One of the two databases; open it once per process."""

    dialect: Dialect
    name: str = "agent-runtime"
    """The sender in this process' notifications, by which it ignores its own."""

    @abstractmethod
    def transaction(self, *, long: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction: committed at the end, rolled back on an error; raises NotReady without a database.

        `long` gives its statements more time: no client waits for them.
        """

    @abstractmethod
    def autocommit(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a connection on which every statement is its own transaction."""

    @abstractmethod
    def log_transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction for the log writer, where requests that wait do not hold it up.

        On PostgreSQL it is one statement on a connection that is kept for it.
        """

    @abstractmethod
    async def check(self) -> None:
        """Raise NotReady when no session could be written: not reachable, locked, read-only or full."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""
