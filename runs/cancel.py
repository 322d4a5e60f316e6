"""Stopping what a session does or waits for, at the user's wish (docs/scenarios.md S26)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from errors import SessionBusy
from runs.decision.contract import Cancel, Request
from runs.drive.ending import cancelled, end_surely
from runs.engine import Engine
from runs.requests import take
from storage.tables import runs
from storage.tables.runs import Run

STOP_WAIT_S = 10.0
"""How long a cancel waits until the worker of the run has closed it, or another one that took the run over."""
END_WAIT_S = 3.0
"""How long it then tries to close the run itself."""
POLL_S = 1.0


@dataclass(frozen=True)
class Cancelled:
    """What a cancel did; `run_id` is None when there was nothing to cancel."""

    run_id: str | None
    settled_calls: list[str]


async def cancel(engine: Engine, session_id: str, owner: str) -> Cancelled:
    """Cancel what the session is doing or waiting for."""
    taken = await take(engine, Request(session_id, Cancel(), owner))
    run = taken.view.run
    if run is None:
        return Cancelled(None, [])
    if not taken.effects.cancels_run:
        return Cancelled(run.id, [record.call_id for record in taken.effects.calls])
    return Cancelled(run.id if await _stop(engine, run) else None, [])


async def _stop(engine: Engine, run: Run) -> bool:
    """Stop a running run, here or through its worker, and wait until it is closed; False when it ended by itself."""
    with engine.broadcast.watch(run.session_id) as feed:
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                while True:
                    change = feed.next_change()
                    task = engine.cancel(run.id)
                    if task is not None:
                        await asyncio.wait([task])
                    async with engine.database.autocommit() as tx:
                        now = await runs.find(tx, run.id)
                    if now is None or now.status != "running":
                        return now is None or now.status == "cancelled"
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL_S):
                            await change.wait()
        except TimeoutError:
            return await _end(engine, run)


async def _end(engine: Engine, run: Run) -> bool:
    """Close a run that no worker has closed; one that still drives it can write nothing more."""
    try:
        async with asyncio.timeout(END_WAIT_S):
            async with engine.database.autocommit() as tx:
                now = await runs.find(tx, run.id)
            if now is not None and now.status == "running":
                await end_surely(engine, now, cancelled())
                return True
            return now is None or now.status == "cancelled"
    except TimeoutError as error:
        raise SessionBusy("The run did not stop in time; it stops as soon as the database takes its end.") from error
