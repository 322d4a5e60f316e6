"""The ear of a process on PostgreSQL: one connection that holds its lock of life and hears the bells of the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from errors import ConfigurationError, NotReady
from runs.engine import Engine
from storage import runs
from storage.database import ADVISORY_NAMESPACE
from storage.postgres import PostgresDatabase, postgres_errors, prepare_connection

CHANNEL = "agent_runtime"
START_S = 10.0
RECONNECT_S = 0.25
IDLE_CHECK_S = 2.0
"""How often a silent connection is asked whether it still lives."""
_log = logging.getLogger("runs.listener")


class Listener:
    """LISTEN, with an advisory lock that PostgreSQL drops when the process dies."""

    def __init__(self, engine: Engine, database: PostgresDatabase, *, on_orphans: Callable[[], None]) -> None:
        self._engine = engine
        self._database = database
        self._on_orphans = on_orphans
        self._heard = asyncio.Event()
        self._hears_since: float | None = None
        self._has_lost = False

    async def wait_until_heard(self) -> None:
        """Wait for the first connection; raises ConfigurationError without one."""
        try:
            async with asyncio.timeout(START_S):
                await self._heard.wait()
        except TimeoutError as error:
            raise ConfigurationError(f"PostgreSQL gave no connection to listen on in {START_S:.0f} s.") from error

    def hears_for(self, grace_s: float) -> bool:
        """Whether the lock is held, and after a loss for long enough that the others have theirs again too."""
        if self._hears_since is None:
            return False
        return not self._has_lost or time.monotonic() - self._hears_since >= grace_s

    async def listen(self) -> None:
        """Listen for ever, with a new connection whenever one is lost."""
        while True:
            try:
                with postgres_errors():
                    await self._listen_once()
            except NotReady:
                if self._hears_since is not None:
                    _log.warning("listener lost the database", extra={"action": "listener_lost"})
            except Exception:  # noqa: BLE001 recorded; a deaf process would be worse
                _log.exception("listener failed", extra={"action": "listener_failed"})
            self._hears_since, self._has_lost = None, True
            await asyncio.sleep(RECONNECT_S)

    async def _listen_once(self) -> None:
        import psycopg

        options = self._database.options
        async with await psycopg.AsyncConnection.connect(self._database.conninfo, **options) as connection:
            await prepare_connection(connection)
            is_locked = await self._lock(connection)
            await connection.execute(f"listen {CHANNEL}")
            # The lease comes back together with the lock, before anybody could take the runs of this process for dead.
            await runs.renew_leases(self._database.on(connection), self._engine.worker)
            self._hears_since = time.monotonic()
            self._heard.set()
            self._engine.live.announce_all()
            self._on_orphans()
            # The pool only tries again when somebody new asks: who waits already is served after this.
            async with self._database.autocommit():
                pass
            while True:
                async for notice in connection.notifies(timeout=IDLE_CHECK_S):
                    self._hear(notice.payload)
                if is_locked:
                    await connection.execute("select 1")
                else:
                    is_locked = await self._lock(connection)

    async def _lock(self, connection: Any) -> bool:
        """Take the lock of life; a connection of ours that hangs may still hold it, which is as good for a while."""
        keys = (ADVISORY_NAMESPACE, self._engine.worker)
        cursor = await connection.execute("select pg_try_advisory_lock(%s, %s)", keys)
        return bool((await cursor.fetchone())[0])

    def _hear(self, payload: str) -> None:
        kind, sender, *subject = payload.split(" ")
        if sender == self._database.name:
            return
        if kind == "events":
            self._engine.live.hear(subject[0], int(subject[1]))
        elif kind == "cancel":
            self._engine.cancel(subject[0])
        elif kind == "orphans":
            self._on_orphans()
