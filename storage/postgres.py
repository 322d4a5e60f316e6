"""PostgreSQL: a pool for statements and LangGraph's savers, one for the log writer, and its errors translated."""

from __future__ import annotations

import contextlib
import logging
import secrets
import select
import sys
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from errors import ConfigurationError, NotReady
from storage.address import LISTEN_SETTING
from storage.database import Database, Dialect, Transaction
from storage.home import ENTER_HOME, HOME

POOL_MIN = 2
POOL_MAX = 16
LOG_POOL_MAX = 2
"""Connections of the log writer: a second one while an append that took too long is being cancelled."""
CONNECT_TIMEOUT_S = 2.5
"""The timeout for opening one connection."""
KEEPALIVES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
"""TCP settings by which a lost database host is detected in about ten seconds instead of two hours."""
IDLE_TRANSACTION_MS = 10_000
POOL_RECONNECT_S = 0.5
"""How long the pool tries again to open a lost connection before it waits for the next request."""
POOL_WAIT_S = 2.5
"""How long a request waits for a connection of the pool."""
LOCK_TIMEOUT_MS = 1_500
STATEMENT_TIMEOUT_MS = 2_000
"""A request is answered 503 after this time when a table is locked."""
LONG_LOCK_TIMEOUT_MS = 10_000
LONG_STATEMENT_TIMEOUT_MS = 60_000
"""For transactions that no client waits for: closing a run, purges, imports."""
SILENCE_S = 2.5
LONG_SILENCE_S = 62.0
"""So long is an answer waited for, or its next piece: a server that is frozen ends no statement itself."""
_LIMITS = {
    "idle_in_transaction_session_timeout": IDLE_TRANSACTION_MS,
    "lock_timeout": LOCK_TIMEOUT_MS,
    "statement_timeout": STATEMENT_TIMEOUT_MS,
}
_LONG = f"; set local lock_timeout = {LONG_LOCK_TIMEOUT_MS}; set local statement_timeout = {LONG_STATEMENT_TIMEOUT_MS}"
IDLE_CHECK_S = 1.0
"""A connection that was used less than this ago is checked only when its socket has something to read."""
CHECK_SILENCE_S = 1.0
"""How long the check of a connection waits for its server before another connection is taken."""
_WRITE_PATH = (
    "lock table sessions, runs, events, tool_calls, messages, checkpoints, checkpoint_blobs, checkpoint_writes"
    " in row exclusive mode"
)


@contextmanager
def postgres_errors() -> Iterator[None]:
    """Translate what psycopg and its pool raise while the database is away, restarts, fails over, is locked or full."""
    import psycopg

    away = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
    try:
        yield
    except away as error:
        raise NotReady from error


async def prepare_connection(connection: Any) -> None:
    """Make our schema the search path, set the timeouts of its statements and idle transactions, and plan them once.

    PostgreSQL would plan each statement of a new connection for its values five times: for those of a turn that costs
    more than all else that a new connection does, and every plan finds its rows by the same keys.
    """
    settings = {**_LIMITS, "plan_cache_mode": "force_generic_plan"}
    sets = "; ".join(f"set {name} = {value}" for name, value in settings.items())
    await connection.execute(f"{ENTER_HOME}; {sets}", prepare=False)


@cache
def bounded_connection() -> Any:
    """The class of our connections: one raises OperationalError, closed, when its server is silent for `silence_s`.

    The timeouts of PostgreSQL end what a running server does. A frozen one keeps its connections open, and the network
    acknowledges what is sent to it.
    """
    from psycopg import AsyncConnection, OperationalError

    class BoundedConnection(AsyncConnection[Any]):
        silence_s = SILENCE_S

        async def wait(self, gen: Any, *bounds: Any, **options: Any) -> Any:
            return await super().wait(self._heard(gen), *bounds, **options)

        def _heard(self, gen: Any) -> Generator[Any, Any, Any]:
            """Pass on what psycopg waits for; it looks ten times a second, also when nothing has come."""
            try:
                wanted, heard_at = next(gen), time.monotonic()
                while True:
                    ready = yield wanted
                    if ready:
                        heard_at = time.monotonic()
                    elif time.monotonic() - heard_at > self.silence_s:
                        self.pgconn.finish()
                        raise OperationalError(f"the server said nothing for {self.silence_s} s")
                    wanted = gen.send(ready)
            except StopIteration as ended:
                return ended.value

    return BoundedConnection


def _is_readable(descriptor: int) -> bool:
    if sys.platform == "win32":  # without poll(): every connection is asked
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


class PostgresDatabase(Database):
    """One `AsyncConnectionPool`, shared with LangGraph's savers."""

    dialect: Dialect = "postgresql"
    fences_writes = True

    def __init__(self, conninfo: str, statements: Any, direct_conninfo: str | None = None) -> None:
        self.conninfo = conninfo
        self.direct_conninfo = direct_conninfo or conninfo
        """For the connection that has to last: it listens."""
        self._is_pooled = direct_conninfo is not None
        self._set_local = ""
        """What each transaction sets by itself, where a pooler keeps nothing that is set on a connection."""
        self._statements = statements
        self._used_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self.name = f"agent-runtime-{secrets.token_hex(6)}"
        self.pool: Any = self._make_pool(POOL_MIN, POOL_MAX, check=self._check_idle, reset=self._note_use)
        self._log_pool: Any = self._make_pool(1, LOG_POOL_MAX)

    def _make_pool(self, min_size: int, max_size: int, **options: Any) -> Any:
        from psycopg_pool import AsyncConnectionPool

        return AsyncConnectionPool(
            self.conninfo,
            connection_class=bounded_connection(),
            min_size=min_size,
            max_size=max_size,
            open=False,
            timeout=POOL_WAIT_S,
            reconnect_timeout=POOL_RECONNECT_S,
            kwargs={**self.options, "prepare_threshold": None if self._is_pooled else 0},
            configure=None if self._is_pooled else prepare_connection,
            **options,
        )

    async def _note_use(self, connection: Any) -> None:
        self._used_at[connection] = time.monotonic()

    async def _check_idle(self, connection: Any) -> None:
        """Discard a lost connection: the server has said something unasked, its end, or the network may have cut it."""
        idle_s = time.monotonic() - self._used_at.get(connection, 0.0)
        if idle_s > IDLE_CHECK_S or _is_readable(connection.fileno()):
            connection.silence_s = CHECK_SILENCE_S
            await connection.execute("")
        connection.silence_s = SILENCE_S

    @property
    def options(self) -> dict[str, Any]:
        """The options with which every connection of this process is opened."""
        from psycopg.rows import namedtuple_row

        seconds = max(2, round(CONNECT_TIMEOUT_S))
        own = {"autocommit": True, "application_name": self.name, "row_factory": namedtuple_row}
        return {**own, "connect_timeout": seconds, **KEEPALIVES}

    async def connect_directly(self) -> Any:
        """Open a connection that lasts, past a pooler."""
        return await bounded_connection().connect(self.direct_conninfo, **self.options)

    def on(self, connection: Any) -> Transaction:
        """Run named statements on a connection that was opened with `options`."""
        return Transaction(connection, "postgresql", self._statements)

    async def open(self) -> None:
        """Connect, or raise ConfigurationError when the server does not answer."""
        from psycopg_pool import PoolTimeout

        # During an outage the pool would log every attempt of every connection; we log the outage once.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        if self._is_pooled:
            self._set_local = await self._read_set_local()
        try:
            await self.pool.open(wait=True, timeout=CONNECT_TIMEOUT_S * 3)
        except PoolTimeout as error:
            await self.pool.close()
            raise ConfigurationError(
                "PostgreSQL does not answer: check AGENT_RUNTIME__DB_URL and that the server is running."
            ) from error
        await self._log_pool.open()

    async def _read_set_local(self) -> str:
        import psycopg

        try:
            async with await self.connect_directly() as connection:
                row = await (await connection.execute(f"select quote_ident(({HOME}))")).fetchone()
        except psycopg.OperationalError as error:
            raise ConfigurationError(f"PostgreSQL does not answer: check {LISTEN_SETTING}.") from error
        own = {"search_path": row[0] if row else "", **_LIMITS}
        return "".join(f"; set local {name} = {value}" for name, value in own.items())

    def log_transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Take the connection of the log writer; its one statement is a transaction."""
        return self._transaction(self._log_pool, self._set_local) if self._is_pooled else self._on(self._log_pool)

    def autocommit(self) -> AbstractAsyncContextManager[Transaction]:
        """Take a connection of the pool; every statement is its own transaction. Raises NotReady without a database.

        Through a pooler all of them are one transaction: only so do they see our schema.
        """
        return self.transaction() if self._is_pooled else self._on(self.pool)

    def transaction(self, *, long: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction; `long` raises its lock and statement timeouts. Raises NotReady without a database."""
        if long:
            return self._transaction(self.pool, self._set_local + _LONG, silence_s=LONG_SILENCE_S)
        return self._transaction(self.pool, self._set_local)

    @asynccontextmanager
    async def _on(self, pool: Any) -> AsyncIterator[Transaction]:
        with postgres_errors():
            async with pool.connection() as connection:
                yield self.on(connection)

    @asynccontextmanager
    async def _transaction(
        self, pool: Any, set_local: str, *, silence_s: float = SILENCE_S
    ) -> AsyncIterator[Transaction]:
        import psycopg

        async with self._on(pool) as tx:
            tx.connection.silence_s = silence_s
            # One round trip; psycopg's own `transaction()` would send BEGIN alone, and savepoints are not needed.
            await tx.connection.execute(f"begin{set_local}", prepare=False)
            try:
                yield tx
                await tx.connection.commit()
            except BaseException:
                with contextlib.suppress(psycopg.Error):  # a broken connection: the pool discards it
                    await tx.connection.rollback()
                raise

    def pool_figures(self) -> dict[str, int]:
        """Return the numbers of the connection pool: size, available connections, waiting requests."""
        told = self.pool.get_stats()
        names = {"size": "pool_size", "available": "pool_available", "waiting": "requests_waiting"}
        return {name: int(told.get(key, 0)) for name, key in names.items()}

    async def check(self) -> None:
        """Lock the tables of a session for writing; raises NotReady when that fails."""
        async with self.transaction() as tx:
            await tx.connection.execute(_WRITE_PATH)

    async def close(self) -> None:
        """Close the pools and their connections."""
        await self._log_pool.close()
        await self.pool.close()
