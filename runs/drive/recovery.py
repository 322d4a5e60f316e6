"""Finishing what a dead worker left: the newest checkpoint says how far its run has come (docs/scenarios.md S29).

A checkpoint is stored together with the rows of its run (`storage.checkpoints.RunSaver`). So a running run has one of
three pasts: nothing stored since its claim; a round whose calls are all settled, from which it was being resumed; or a
boundary at which an earlier worker handed it over.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from runs import thread
from runs.drive.attempt import Start, new_turn_input, start_driving, start_ending, thread_config
from runs.drive.ending import cancelled, given_up
from runs.engine import Engine
from storage.tables import calls, events, runs
from storage.tables.runs import Run
from wire.chunks import pack
from wire.protocol import Status

_log = logging.getLogger("runs.recovery")


async def take_over(engine: Engine, orphan: Run) -> bool:
    """Claim one run again and continue it; False when another worker was first or its row is locked."""
    async with engine.database.transaction() as tx:
        run = await runs.take_over(tx, orphan, engine.worker)
    if run is None:
        return False
    fields = {"action": "run_taken_over", "session": run.session_id, "run": run.id, "attempt": run.attempt}
    _log.info("run taken over", extra=fields)
    if run.cancel_requested:
        start_ending(engine, run, cancelled())
    elif run.tries >= engine.settings.run_max_attempts:
        _log.error("run given up", extra={**fields, "action": "run_given_up", "reason": run.reason})
        start_ending(engine, run, given_up(run))
    else:
        start_driving(engine, run, partial(find_start, engine, run))
    return True


async def find_start(engine: Engine, run: Run) -> Start:
    """Where a run continues that was claimed again; the text that its last attempt showed in vain is declared void."""
    graph = engine.graph.copy({"checkpointer": engine.checkpoints.saver()})
    snapshot = await graph.aget_state(thread_config(run))
    metadata: Any = snapshot.metadata or {}
    is_own = metadata.get("run_id") == run.id
    kept_to = int(metadata.get("log_seq") or 0) if is_own else 0
    written_to = await _announce(engine, run, kept_to)
    if not is_own:
        return Start(await new_turn_input(engine, run), written_to)
    if not snapshot.interrupts:
        return Start(None, written_to)
    async with engine.database.autocommit() as tx:
        records = await calls.round_of(tx, run.session_id, run.id)
    return Start(thread.resume_command(records), written_to)


async def _announce(engine: Engine, run: Run, kept_to: int) -> int:
    """Declare void what dead attempts showed of this request since `kept_to`; the last event that is there now."""
    async with engine.database.transaction() as tx:
        from_seq = await events.void_from(tx, run, kept_to)
        if from_seq is None:
            return kept_to
        metadata: dict[str, Any] = {"status": "restarted", "attempt": run.attempt, "from_seq": from_seq}
        sentence = "The server was restarted; what was shown of this answer comes again."
        chunk = pack(Status(content=sentence, metadata=metadata))
        stored = await events.append(tx, run.session_id, run.request_id, [chunk], run=run)
    engine.broadcast.publish(run.session_id, stored)
    return stored[-1].seq
