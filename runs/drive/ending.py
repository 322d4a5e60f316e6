"""The end of a run without its attempt: its closing failed, it was given up, or cancelled while nothing drove it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial

from errors import RunLost
from runs.apply import close, close_alone
from runs.decision.contract import NO_USAGE, CloseRun, Effects
from runs.decision.supersede import CANCELLED
from runs.engine import Engine
from runs.thread import tool_record
from storage.database import Transaction, patiently
from storage.tables import calls
from storage.tables.audit import AuditEntry
from storage.tables.messages import MessageRecord
from storage.tables.runs import Run, RunStatus
from wire.chunks import done_chunk
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

    @property
    def run_end(self) -> CloseRun:
        """How the run ends."""
        return CloseRun(self.status, self.outcome, self.code)


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


def internal_error(error_id: str) -> Chunk:
    """Our fault, in words for people; the id is in the log."""
    sentence = "Something went wrong on our side. Please try again."
    return error_chunk("internal", sentence, retryable=True, error_id=error_id)


async def settled_messages(tx: Transaction, run: Run) -> list[MessageRecord]:
    """The tool messages of the round from which a run was resumed: its nodes may not have come to write them."""
    records = await calls.round_of(tx, run.session_id, run.id)
    return [tool_record(record) for record in records if record.is_tool_call and not record.is_open]


async def end_run(engine: Engine, run: Run, ending: Ending) -> None:
    """Tell the client, settle what the nodes did not come to, and close the run; raises RunLost when it was taken."""
    details = {"code": ending.code, "reason": run.reason}
    effects = Effects(
        chunks=(ending.chunk, done_chunk(ending.outcome, NO_USAGE)),
        request_id=run.request_id,
        closes=ending.run_end,
        audit=(AuditEntry("error", details=details),) if ending.code == GIVEN_UP else (),
    )
    async with engine.database.transaction(long=True) as tx:
        stored = await close(engine, tx, run, replace(effects, messages=tuple(await settled_messages(tx, run))))
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
        _log_unstored(run)
        try:
            async with engine.database.transaction() as tx:
                await close_alone(engine, tx, run, ending.run_end, is_announced=True)
        except RunLost:
            raise
        except Exception:  # noqa: BLE001 recorded; a receiver that cannot be told holds no session
            _log_unstored(run)
            async with engine.database.transaction() as tx:
                await close_alone(engine, tx, run, ending.run_end, is_announced=False)
        engine.broadcast.invalidate(run.session_id)


def _log_unstored(run: Run) -> None:
    fields = {"action": "ending_not_stored", "session": run.session_id, "run": run.id}
    _log.exception("the end of a run could not be stored in its session", extra=fields)
