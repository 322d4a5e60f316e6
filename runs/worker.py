"""The life of this process as a worker: it keeps its leases, hears the bells, takes over, expires and sweeps."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from errors import NotReady
from runs import housekeeping
from runs.engine import Engine
from runs.recovery import take_over_orphans
from storage import runs
from storage.database import ADVISORY_NAMESPACE, PostgresDatabase

HEARTBEAT_S = 0.5
HOUSEKEEPING_S = 30.0
RECONNECT_S = 0.25
CHANNEL = "agent_runtime"
_log = logging.getLogger("runs.worker")


class Worker:
    """The background tasks of one process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: list[asyncio.Task[None]] = []
        self._listening = asyncio.Event()

    async def start(self) -> None:
        """Become visible as a live worker, take over what a dead one left, and keep watch."""
        if isinstance(self._engine.database, PostgresDatabase):
            self._tasks.append(asyncio.create_task(self._listen(self._engine.database), name="listen"))
            async with asyncio.timeout(10):
                await self._listening.wait()
        await take_over_orphans(self._engine)
        self._tasks.append(asyncio.create_task(self._every(HEARTBEAT_S, self._beat), name="heartbeat"))
        keep = self._every(HOUSEKEEPING_S, lambda: housekeeping.keep_house(self._engine))
        self._tasks.append(asyncio.create_task(keep, name="housekeeping"))

    async def stop(self, drain_s: float) -> None:
        """Take no new runs, let the running ones reach a pause or an end, hand the rest over."""
        self._engine.is_draining = True
        running = list(self._engine.tasks.values())
        if running:
            await asyncio.wait(running, timeout=drain_s)
        left = list(self._engine.tasks.values())
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=5)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(NotReady):
            async with self._engine.database.autocommit() as tx:
                await runs.release_leases(tx, self._engine.worker)

    async def _every(self, pause_s: float, step: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await step()
            except NotReady:
                _log.warning("database away", extra={"action": "database_away"})
            await asyncio.sleep(pause_s)

    async def _beat(self) -> None:
        """Renew the leases, stop what was lost or is to be cancelled, look for orphans."""
        engine = self._engine
        async with engine.database.autocommit() as tx:
            if engine.tasks:
                own = await runs.renew_leases(tx, engine.worker)
                for run_id in await runs.cancel_requests(tx, engine.worker):
                    self._cancel(run_id)
                for run_id in [run_id for run_id in engine.tasks if run_id not in own]:
                    await self._check_lost(tx, run_id)
        if not engine.is_draining:
            await take_over_orphans(engine)

    async def _check_lost(self, tx: Any, run_id: str) -> None:
        run = await runs.find(tx, run_id)
        task = self._engine.tasks.get(run_id)
        if task is not None and run is not None and run.status == "running" and run.worker != self._engine.worker:
            task.cancel()

    def _cancel(self, run_id: str) -> None:
        task = self._engine.tasks.get(run_id)
        if task is not None and run_id not in self._engine.cancelling:
            self._engine.cancelling.add(run_id)
            task.cancel()

    async def _listen(self, database: PostgresDatabase) -> None:
        """Hold the advisory lock that says this process lives, and pass the bells of the others on."""
        import psycopg

        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    database.conninfo, autocommit=True, connect_timeout=3
                )
                async with connection:
                    keys = (ADVISORY_NAMESPACE, self._engine.worker)
                    await connection.execute("select pg_advisory_lock(%s, %s)", keys)
                    await connection.execute(f"listen {CHANNEL}")
                    self._listening.set()
                    self._engine.live.announce_all()
                    async for notice in connection.notifies():
                        self._hear(notice.payload)
            except psycopg.OperationalError:
                _log.warning("listener lost the database", extra={"action": "listener_lost"})
            await asyncio.sleep(RECONNECT_S)

    def _hear(self, payload: str) -> None:
        kind, _, rest = payload.partition(" ")
        subject = rest.split(" ")[0]
        if kind == "events":
            self._engine.live.announce(subject)
        elif kind == "cancel":
            self._cancel(subject)
