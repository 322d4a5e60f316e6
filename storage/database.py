"""The database interface: transactions, the same named statements in both dialects, and the time."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from errors import NotReady, StorageRefused

Dialect = Literal["sqlite", "postgresql"]
ADVISORY_NAMESPACE = 0x41524E54
"""The first key of every advisory lock of the runtime; the second is a worker's number or MIGRATION_LOCK."""
MIGRATION_LOCK = 1
RETRY_S = 0.2
REFUSED_S = 20.0
"""A step of a run that is refused for so long, by a database that serves others, has failed: a lock, a slow trigger."""
MAX_ROUND_TRIP_S = 0.5
"""An answer that took longer says too little about when the database gave it."""

Found = TypeVar("Found")


async def patiently(step: Callable[[], Awaitable[Found]], database: Database | None = None) -> Found:
    """Repeat a step while the database is not reachable: the work of a run waits and continues.

    With `database` raises StorageRefused when others are served and this step is not (see `Patience`).
    """
    patience = Patience(database) if database is not None else None
    while True:
        try:
            return await step()
        except NotReady as error:
            await (patience.wait(error) if patience is not None else asyncio.sleep(RETRY_S))


class Patience:
    """How long what belongs to one run is tried again: without end in an outage, REFUSED_S while others are served."""

    def __init__(self, database: Database, refused_s: float = REFUSED_S) -> None:
        self._database = database
        self._limit_s = refused_s
        self._refused_since: float | None = None

    async def wait(self, error: NotReady | None = None) -> None:
        """Pause before the next try; raises StorageRefused when it was refused for too long."""
        await asyncio.sleep(RETRY_S)
        try:
            await self._database.check()
        except NotReady:
            self._refused_since = None
            return
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since > self._limit_s:
            raise StorageRefused from error


class Writer(Protocol):
    """What executes `!` statements: a transaction at once, a `storage.session_state.Batch` together with others."""

    dialect: Dialect
    connection: Any

    async def run(self, name: str, **parameters: Any) -> int:
        """Execute a statement, now or later; returns the number of changed rows where it is known."""
        ...


@dataclass(frozen=True)
class Step:
    """A statement that has to take effect, or nothing of the batch does."""

    name: str
    parameters: Mapping[str, Any]


class Transaction:
    """One open transaction: `await tx.value("name", …)`, `row`, `rows`, `run` execute named statements of `sql/`."""

    def __init__(self, connection: Any, dialect: Dialect, statements: Any) -> None:
        self.connection = connection
        self.dialect = dialect
        self.statements = statements

    def _call(self, name: str, parameters: dict[str, Any]) -> Any:
        return getattr(self.statements, name)(self.connection, **parameters)

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
    fences_writes: bool
    """Whether a batch can depend on the version of a row that was read before, without holding it."""
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

    def pool_figures(self) -> dict[str, int]:
        """Return the connections in the pool (`size`), free ones (`available`), and requests that wait (`waiting`)."""
        return {}

    @abstractmethod
    async def check(self) -> None:
        """Raise NotReady when no session could be written: not reachable, locked, read-only or full."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""


@dataclass
class _Clock:
    """Times by the clock of the database: processes may disagree about the time."""

    ahead_s: float | None = None
    """How far the clock of the database is ahead of this process's monotonic clock; None before it was asked."""

    def now(self) -> datetime:
        told_s = time.time() if self.ahead_s is None else self.ahead_s + time.monotonic()
        return datetime.fromtimestamp(told_s, UTC)


_clock = _Clock()


def set_clock(database_s: float, asked_at: float, told_at: float) -> None:
    """Set the clock by the database: its seconds since 1970, and when (`time.monotonic`) it was asked and answered.

    PostgreSQL only: a SQLite file is served by one process, whose clock is the only one.
    """
    if _clock.ahead_s is None or told_at - asked_at <= MAX_ROUND_TRIP_S:
        _clock.ahead_s = database_s - (asked_at + told_at) / 2


def now() -> datetime:
    """The time of the database; a step of this process's clock does not change it."""
    return _clock.now()


def stamp(moment: datetime | None = None) -> str:
    """An aware UTC time as ISO 8601 with microseconds and `+00:00`: sorts as text, travels as it is."""
    return (moment or now()).astimezone(UTC).isoformat(timespec="microseconds")


def stamp_in(hours: float) -> str:
    """The time that many hours from now; negative hours lie in the past."""
    return stamp(now() + timedelta(hours=hours))
