"""The end of a run without its attempt: its closing failed, it was given up, or cancelled while nothing drove it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from errors import RunLost
from runs.decision.effects import NO_USAGE
from runs.decision.supersede import CANCELLED
from runs.drive.close import internal_error, store_settled
from runs.engine import Engine
from runs.run_end import store_end
from storage.database import patiently
from storage.tables import audit, events
from storage.tables.audit import AuditEntry
from storage.tables.runs import Run, RunStatus
from wire.chunks import done_chunk, pack
from wire.protocol import Chunk, Outcome, error_chunk

GIVEN_UP = "given_up"
_log = logging.getLogger("runs.ending")


@dataclass(frozen=True)
class Ending:
    """How a run ends, and what its client is told."""

    status: RunStatus
    code: str
    outcome: Outcome
    chunk: Chunk


def broken(error_id: str) -> Ending:
    """The ending of a run that could not be closed as it should; the id is in the log."""
    return Ending("failed", "internal", "failed", internal_error(error_id))


def cancelled() -> Ending:
    """The ending that the user asked for."""
    return Ending("cancelled", "cancelled", "cancelled", error_chunk("cancelled", CANCELLED))


def given_up(run: Run) -> Ending:
    """The ending of a run that no attempt could finish."""
    sentence = f"The server tried this {run.tries} times and could not finish it. Please send the message again."
    return Ending("failed", GIVEN_UP, "failed", error_chunk("internal", sentence, retryable=True, error_id=run.id))


async def end_run(engine: Engine, run: Run, ending: Ending) -> None:
    """Tell the client, settle what the nodes did not come to, and close the run; raises RunLost when it was taken."""
    chunks = [pack(ending.chunk), pack(done_chunk(ending.outcome, NO_USAGE))]
    async with engine.database.transaction(long=True) as tx:
        stored = await events.append(tx, run.session_id, run.request_id, chunks, run=run)
        await store_settled(tx, run)
        if ending.code == GIVEN_UP:
            details = {"code": ending.code, "reason": run.reason}
            await audit.append(tx, run.session_id, [AuditEntry("error", details=details)], run_id=run.id)
        await store_end(tx, engine, run, ending.status, ending.outcome, ending.code)
    engine.broadcast.publish(run.session_id, stored)
    engine.meters.turn_ended(ending.outcome)


async def end_surely(engine: Engine, run: Run, ending: Ending) -> None:
    """End a run although its session may take no event: then its row alone says so, and its readers look there."""
    try:
        await _end_whole(engine, run, ending)
    except RunLost:
        _log.warning("run lost", extra={"action": "run_lost", "session": run.session_id, "run": run.id})


async def _end_whole(engine: Engine, run: Run, ending: Ending) -> None:
    try:
        await patiently(partial(end_run, engine, run, ending), engine.database)
    except RunLost:
        raise
    except Exception:  # noqa: BLE001 recorded; the row of the run is closed alone
        fields = {"action": "ending_not_stored", "session": run.session_id, "run": run.id}
        _log.exception("the end of a run could not be stored in its session", extra=fields)
        async with engine.database.transaction() as tx:
            await store_end(tx, engine, run, ending.status, ending.outcome, ending.code)
        engine.broadcast.invalidate(run.session_id)
