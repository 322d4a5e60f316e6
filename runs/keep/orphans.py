"""Runs whose worker is gone: found, and handed to `runs.drive.recovery`, for which the graph is loaded."""

from __future__ import annotations

import logging

from runs.engine import Engine
from storage.tables import workers
from storage.tables.runs import Run

_log = logging.getLogger("runs.recovery")


async def take_over_orphans(engine: Engine) -> int:
    """Claim every run whose worker is gone and go on with it in the background; returns how many were taken."""
    async with engine.database.autocommit() as tx:
        orphans = await workers.orphans(tx, engine.worker)
    return sum([await try_take_over(engine, orphan) for orphan in orphans])


async def try_take_over(engine: Engine, orphan: Run) -> bool:
    """Take one run over; a row that cannot be written stops no other run's recovery, and is tried less and less."""
    if not engine.unwritable.is_due(orphan.id):
        return False
    try:
        await engine.load_graph()
        from runs.drive.recovery import take_over  # imported by now

        is_taken = await take_over(engine, orphan)
    except Exception:  # noqa: BLE001 recorded; the next round tries again
        fields = {"action": "take_over_failed", "session": orphan.session_id, "run": orphan.id}
        _log.exception("a run could not be taken over", extra=fields)
        engine.unwritable.note_failure(orphan.id)
        return False
    engine.unwritable.forget(orphan.id)
    return is_taken
