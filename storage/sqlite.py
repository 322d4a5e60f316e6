"""SQLite: one guarded connection to a file that one process serves, and the translation of its errors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import namedtuple
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

from errors import ConfigurationError, NotReady
from storage.database import Database, Dialect, Transaction

BUSY_TIMEOUT_S = 1.5
GUARD_WAIT_S = 10.0
"""How long a request waits for its turn while the connection serves nobody; where others are served, it waits on."""
CHECK_BYTES = 65_536
"""The size of the block that the readiness check writes and rolls back."""
_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    }
)


@contextmanager
def sqlite_errors() -> Iterator[None]:
    """Translate the errors of a file that is locked for longer than the busy timeout, or cannot be written."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # The low byte is the primary code; extended codes only add detail.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _AWAY:
            raise NotReady from error
        raise


class SqliteDatabase(Database):
    """One connection behind one lock: a reader never sees what another task has not committed."""

    dialect: Dialect = "sqlite"
    fences_writes = False

    def __init__(self, path: str, statements: Any, *, guard_wait_s: float = GUARD_WAIT_S) -> None:
        self.path = path
        self._statements = statements
        self._guard_wait_s = guard_wait_s
        self._connection: Any = None
        self._guard = asyncio.Lock()
        self._served_at = 0.0
        """When the connection last did what it was taken for, by the monotonic clock."""
        self._refusals = 0
        """How often the file was locked, full or not to be written."""
        self._file_lock: Any = None

    async def open(self) -> None:
        """Open the file, alone: one process at a time serves a SQLite file."""
        import aiosqlite

        Path(self.path).absolute().parent.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 once, at the start
        self._file_lock = _lock_file(self.path)
        self._connection = await aiosqlite.connect(self.path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        self._connection.row_factory = _named
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            await self._connection.execute(f"pragma {pragma}")

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Transaction]:
        """Take the connection; every statement is its own transaction. Raises NotReady when it stays taken."""
        async with self._guarded():
            yield Transaction(self._connection, "sqlite", self._statements)

    @asynccontextmanager
    async def transaction(self, *, long: bool = False) -> AsyncIterator[Transaction]:  # noqa: ARG002 PostgreSQL's
        """Open a transaction, alone on the file; `long` has no effect here. Raises NotReady when it stays locked."""
        async with self._guarded():
            try:
                await self._connection.execute("begin immediate")
                yield Transaction(self._connection, "sqlite", self._statements)
                await self._connection.execute("commit")
            except BaseException:
                # The connection executes statements in order: this one runs after a cancelled one.
                await asyncio.shield(self._roll_back())
                raise

    def log_transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction on the one connection."""
        return self.transaction()

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        refusals = self._refusals
        await self._wait_for_turn()
        try:
            if self._refusals != refusals:  # not each of a queue in turn waits for a locked file
                raise NotReady
            with self._refusals_counted():
                yield
            self._served_at = time.monotonic()
        finally:
            self._guard.release()

    @contextmanager
    def _refusals_counted(self) -> Iterator[None]:
        try:
            with sqlite_errors():
                yield
        except NotReady as error:
            self._refusals += isinstance(error.__cause__, sqlite3.Error)
            raise

    async def _wait_for_turn(self) -> None:
        """Take the connection in order of arrival; raises NotReady when nobody was served for so long."""
        began = time.monotonic()
        turn = asyncio.ensure_future(self._guard.acquire())
        try:
            while not turn.done() and (left := max(began, self._served_at) + self._guard_wait_s - time.monotonic()) > 0:
                await asyncio.wait({turn}, timeout=left)
        except asyncio.CancelledError:
            self._leave_queue(turn)
            raise
        if not turn.done():
            self._leave_queue(turn)
            raise NotReady

    def _leave_queue(self, turn: asyncio.Future[Literal[True]]) -> None:
        if not turn.cancel():  # the connection was taken already
            self._guard.release()

    async def check(self) -> None:
        """Write a block, take it back and commit; raises NotReady when the file cannot grow or be written."""
        async with self.transaction() as tx:
            await tx.connection.execute("select 1 from sessions limit 1")
            await tx.connection.execute("savepoint block")
            await tx.connection.execute("create table readiness as select zeroblob(?) as block", (CHECK_BYTES,))
            await tx.connection.execute("rollback to block")
            await tx.connection.execute("update alembic_version set version_num = version_num")

    async def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.OperationalError):  # when nothing is open there is nothing to undo
            await self._connection.execute("rollback")

    async def close(self) -> None:
        """Close the connection and release the lock file."""
        if self._connection is not None:
            await self._connection.close()
        if self._file_lock is not None:
            self._file_lock.close()


@cache
def _row_type(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names, rename=True)


def _named(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Any:
    """Make a named tuple, as psycopg's `namedtuple_row` does."""
    return _row_type(tuple(column[0] for column in cursor.description))._make(row)


def _lock_file(path: str) -> Any:
    """Lock `<path>.lock` until the process ends; the system releases the lock when it is killed."""
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
