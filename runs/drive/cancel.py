"""Stopping a run on request: the model stops at once, the text so far is kept, open calls are settled (S26)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from errors import SessionBusy
from runs import supersede
from runs.drive.close import store_records, store_settled
from runs.drive.recorder import Recorder, join_deltas
from runs.engine import Engine
from state import tool_message_id
from storage import audit, calls, events, messages, plans, runs, sessions
from storage.audit import AuditEntry
from storage.checkpoints import RunSaver
from storage.database import Transaction
from storage.messages import MessageRecord
from storage.runs import Run
from wire.chunks import assistant_message, done_chunk
from wire.frames import pack
from wire.protocol import Chunk, error_chunk

CANCELLED = "The run was cancelled."
NOT_STARTED = "The user cancelled the run before this call was started. It was not run."
REMOTE_WAIT_S = 10.0
POLL_S = 1.0


@dataclass(frozen=True)
class Cancelled:
    """What a cancel did; `run_id` is None when there was nothing to cancel."""

    run_id: str | None
    settled_calls: list[str]


async def cancel(engine: Engine, session_id: str, owner: str) -> Cancelled:
    """Cancel what the session is doing or waiting for."""
    async with engine.database.transaction() as tx:
        await sessions.find(tx, session_id, owner, lock=True)
        run = await runs.active(tx, session_id)
        if run is None:
            return Cancelled(None, [])
        if run.status == "paused":
            settled = await supersede.end_open_round(tx, session_id, "cancel")
            await runs.end_paused(tx, session_id, "cancelled")
            await audit.append(tx, session_id, [AuditEntry("cancelled", actor="user", run_id=run.id)])
            request_id = run.request_id
            chunks = [pack(error_chunk("cancelled", CANCELLED)), pack(done_chunk("cancelled", _no_usage()))]
            stored = await events.append(tx, session_id, request_id, chunks)
        else:
            await runs.request_cancel(tx, run)
    if run.status == "paused":
        engine.live.publish(session_id, stored)
        return Cancelled(run.id, settled)
    is_cancelled = await _stop(engine, run)
    return Cancelled(run.id if is_cancelled else None, [])


async def _stop(engine: Engine, run: Run) -> bool:
    """Stop a running run, here or through its worker, and wait until it is closed; False when it ended by itself."""
    with engine.live.watch(run.session_id) as feed:
        try:
            async with asyncio.timeout(REMOTE_WAIT_S):
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
        except TimeoutError as error:
            raise SessionBusy("The run did not stop in time; it stops as soon as its worker answers.") from error


async def close_cancelled(
    engine: Engine, run: Run, recorder: Recorder, chunks: list[dict[str, Any]], saver: RunSaver
) -> None:
    """Store a cancelled attempt: what was shown, the partial answer marked so, every call settled.

    The thread stays as it was before; the next turn repairs it from the history.
    """
    saver.discard()
    partial = recorder.partial()
    ending: list[Chunk] = []
    if partial is not None:
        ending += assistant_message(partial.content, streamed=True, partial=True)
    ending += [error_chunk("cancelled", CANCELLED), done_chunk("cancelled", recorder.usage())]
    async with engine.database.transaction() as tx:
        told = join_deltas([*chunks, *(pack(chunk) for chunk in ending)])
        stored = await events.append(tx, run.session_id, run.request_id, told, run=run)
        await _settle(tx, run, recorder, [] if partial is None else [partial])
        await runs.close(tx, run, "cancelled", "cancelled")
    engine.live.publish(run.session_id, stored)


async def _settle(tx: Transaction, run: Run, recorder: Recorder, partial: list[MessageRecord]) -> None:
    """Store what the attempt left; every call that it made and did not carry out gets its one tool message."""
    await store_settled(tx, run)
    await store_records(tx, run, recorder, [AuditEntry("cancelled", actor="user", run_id=run.id)])
    answered = {record.tool_call_id for record in recorder.messages if record.role == "tool"}
    left = [
        MessageRecord(tool_message_id(call["id"]), "tool", NOT_STARTED, call["name"], call["id"])
        for record in recorder.messages
        for call in record.tool_calls or ()
        if call["id"] not in answered
    ]
    await messages.append(tx, run.session_id, [*left, *partial], run_id=run.id)
    await calls.end_all(tx, run.session_id, "cancel")
    if recorder.plan is not None:
        await plans.set_summary(tx, recorder.plan)
    await supersede.end_plan(tx, run.session_id, "cancelled")


def _no_usage() -> dict[str, int | None]:
    return {"llm_calls": 0, "prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
