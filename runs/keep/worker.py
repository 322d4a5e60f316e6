"""This process as a worker: its lease, notifications, take-over of orphaned runs, expiry and sweeping."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from errors import NotReady
from runs.engine import Engine
from runs.keep import housekeeping
from runs.keep.figures import own_figures
from runs.keep.listener import HEARTBEAT_S, Listener
from runs.keep.orphans import take_over_orphans, try_take_over
from runs.webhooks.delivery import deliver_due
from storage.postgres import PostgresDatabase
from storage.tables import runs, workers

EXPIRY_S = 2.0
WEBHOOKS_S = 1.0
SWEEP_S = 3600.0
FIGURES_S = 1.0
HALT_S = 5.0
_log = logging.getLogger("runs.worker")


class Worker:
    """The background tasks of one process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._without_task: set[str] = set()
        self._listener: Listener | None = None
        if isinstance(engine.database, PostgresDatabase):
            self._listener = Listener(engine, engine.database, on_orphans=self._wake.set)

    async def start(self) -> None:
        """Take the liveness lock, take over orphaned runs, and start the periodic steps."""
        if self._listener is not None:
            self._tasks.append(asyncio.create_task(self._listener.listen(), name="listen"))
            await self._listener.wait_until_listening()
        await take_over_orphans(self._engine)
        self._keep("watch runs", HEARTBEAT_S, self._watch_runs, self._wake)
        self._keep("expiry", EXPIRY_S, lambda: housekeeping.expire_approvals(self._engine))
        self._keep("webhooks", WEBHOOKS_S, lambda: deliver_due(self._engine))
        self._keep("sweep", SWEEP_S, lambda: housekeeping.keep_house(self._engine))
        if self._engine.meters.is_shared:
            self._keep("figures", FIGURES_S, self._show_figures)

    async def drain(self, within_s: float) -> None:
        """Refuse new runs, let running ones end or reach a superstep boundary, and hand the rest over."""
        engine = self._engine
        engine.is_draining = True
        await self._wait_for_runs(within_s / 2)
        for control in engine.controls.values():
            control.request_drain("shutdown")
        await self._wait_for_runs(within_s / 2)
        engine.is_halted = True
        for task in engine.tasks.values():
            task.cancel()
        await self._wait_for_runs(HALT_S)
        with contextlib.suppress(NotReady):
            async with engine.database.autocommit() as tx:
                await workers.end_lease(tx, engine.worker)
        engine.broadcast.close()

    async def stop(self, within_s: float) -> None:
        """Drain, if that was not done before, and end the background tasks."""
        if not self._engine.is_halted:
            await self.drain(within_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait_for_runs(self, timeout_s: float) -> None:
        running = list(self._engine.tasks.values())
        if running:
            await asyncio.wait(running, timeout=timeout_s)

    def _keep(
        self, name: str, pause_s: float, step: Callable[[], Awaitable[Any]], wake: asyncio.Event | None = None
    ) -> None:
        self._tasks.append(asyncio.create_task(_every(pause_s, step, wake or asyncio.Event()), name=name))

    async def _show_figures(self) -> None:
        """Let the process that is asked for metrics read the gauges of this one."""
        self._engine.meters.show(own_figures(self._engine))

    async def _watch_runs(self) -> None:
        """Stop runs that were cancelled or lost, adopt runs without a task, take over orphans."""
        engine = self._engine
        async with engine.database.autocommit() as tx:
            own = await runs.running_of(tx, engine.worker)
        for run_id, is_cancelled in own.items():
            if is_cancelled:
                engine.cancel(run_id)
        for run_id in [run_id for run_id in engine.tasks if run_id not in own]:
            await self._check_lost(run_id)
        if engine.is_draining:
            return
        await self._adopt({run_id for run_id in own if run_id not in engine.tasks})
        if self._listener is None or self._listener.knows_the_leases:
            await take_over_orphans(engine)

    async def _check_lost(self, run_id: str) -> None:
        async with self._engine.database.autocommit() as tx:
            run = await runs.find(tx, run_id)
        task = self._engine.tasks.get(run_id)
        is_lost = run is None or (run.status == "running" and run.worker != self._engine.worker)
        if task is not None and is_lost and run_id not in self._engine.cancelling:
            task.cancel()

    async def _adopt(self, without_task: set[str]) -> None:
        """Drive runs of our own without a task for a whole heartbeat: a claim lost its answer, or an attempt failed."""
        for run_id in without_task & self._without_task:
            async with self._engine.database.autocommit() as tx:
                run = await runs.find(tx, run_id)
            if run is not None and run.worker == self._engine.worker and run_id not in self._engine.tasks:
                await try_take_over(self._engine, run)
        self._without_task = without_task


async def _every(pause_s: float, step: Callable[[], Awaitable[Any]], wake: asyncio.Event) -> None:
    """Repeat a step, at once when woken; nothing that goes wrong once ends it."""
    while True:
        wake.clear()
        try:
            await step()
        except NotReady:
            _log.warning("database away", extra={"action": "database_away"})
        except Exception:  # noqa: BLE001 recorded; the next round may work
            _log.exception("background step failed", extra={"action": "step_failed"})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await wake.wait()
