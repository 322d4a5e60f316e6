"""The LISTEN connection of a process: it holds the worker's liveness lock and lease, and receives notifications."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from errors import ConfigurationError, NotReady
from runs.engine import Engine
from storage.database import ADVISORY_NAMESPACE
from storage.postgres import PostgresDatabase, postgres_errors, prepare_connection
from storage.tables import workers

CHANNEL = "agent_runtime"
START_S = 10.0
RECONNECT_S = 0.25
HEARTBEAT_S = 0.3
"""How often the lease is renewed: on this connection, so that no statement and no full pool delays it."""
GRACE_S = 1.5
"""After an outage of the database the other workers have this long to renew their leases."""
_log = logging.getLogger("runs.listener")


class Listener:
    """LISTEN, with an advisory lock that PostgreSQL drops when the process dies."""

    def __init__(self, engine: Engine, database: PostgresDatabase, *, on_orphans: Callable[[], None]) -> None:
        self._engine = engine
        self._database = database
        self._on_orphans = on_orphans
        self._listening = asyncio.Event()
        self._listening_since: float | None = None
        self._has_lost = False

    async def wait_until_listening(self) -> None:
        """Wait for the first connection; raises ConfigurationError when there is none in time."""
        try:
            async with asyncio.timeout(START_S):
                await self._listening.wait()
        except TimeoutError as error:
            raise ConfigurationError(f"PostgreSQL gave no connection to listen on in {START_S:.0f} s.") from error

    @property
    def knows_the_leases(self) -> bool:
        """Whether the lock is held, and after a loss for long enough that the others have theirs again too."""
        if self._listening_since is None:
            return False
        return not self._has_lost or time.monotonic() - self._listening_since >= GRACE_S

    async def listen(self) -> None:
        """Listen until cancelled, with a new connection whenever one is lost."""
        while True:
            try:
                with postgres_errors():
                    await self._listen_once()
            except NotReady:
                if self._listening_since is not None:
                    _log.warning("listener lost the database", extra={"action": "listener_lost"})
            except Exception:  # noqa: BLE001 recorded; the next connection may work
                _log.exception("listener failed", extra={"action": "listener_failed"})
            self._listening_since, self._has_lost = None, True
            await asyncio.sleep(RECONNECT_S)

    async def _listen_once(self) -> None:
        async with await self._database.connect_directly() as connection:
            await prepare_connection(connection)
            # A lease that a crash of the database takes back is renewed before anybody could count on it.
            await connection.execute("set synchronous_commit = off")
            tx = self._database.on(connection)
            is_locked = await self._lock(connection)
            await connection.execute(f"listen {CHANNEL}")
            # On the connection that takes the lock, before another worker could count the runs as orphans.
            self._engine.lease.renew(await workers.enter(tx, self._engine.worker), is_new=True)
            self._listening_since = time.monotonic()
            self._listening.set()
            self._engine.broadcast.invalidate_all()
            self._on_orphans()
            if self._has_lost:
                asyncio.get_running_loop().call_later(GRACE_S, self._on_orphans)
            # The pool reconnects only for a new request; those that wait already are served after it.
            async with self._database.autocommit():
                pass
            while True:
                async for notice in connection.notifies(timeout=HEARTBEAT_S):
                    self._receive(notice.payload)
                if not self._engine.is_halted:
                    self._engine.lease.renew(await workers.renew_lease(tx, self._engine.worker))
                if not is_locked:
                    is_locked = await self._lock(connection)

    async def _lock(self, connection: Any) -> bool:
        """Take the liveness lock; False while a hung connection of this process still holds it."""
        keys = (ADVISORY_NAMESPACE, self._engine.worker)
        cursor = await connection.execute("select pg_try_advisory_lock(%s, %s)", keys)
        return bool((await cursor.fetchone())[0])

    def _receive(self, payload: str) -> None:
        kind, sender, *subject = payload.split(" ")
        if sender == self._database.name:
            return
        if kind == "events":
            for session_id, newest in zip(subject[::2], subject[1::2], strict=True):
                self._engine.broadcast.note(session_id, int(newest))
        elif kind == "cancel":
            self._engine.cancel(subject[0])
        elif kind == "orphans":
            self._on_orphans()
