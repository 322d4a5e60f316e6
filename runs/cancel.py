"""Stopping a run on request: the model stops at once, the text so far is kept, open calls are settled (S26)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from runs import settle
from runs.close import store_records
from runs.engine import Engine
from runs.recorder import Recorder, join_deltas
from storage import audit, calls, events, plans, runs, sessions
from storage.audit import AuditEntry
from storage.database import Transaction
from storage.runs import Run
from wire.chunks import assistant_message, done_chunk
from wire.frames import pack
from wire.protocol import error_chunk

CANCELLED = "The run was cancelled."
REMOTE_WAIT_S = 10.0


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
            settled = await settle.end_open_round(tx, session_id, "cancel")
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
    await _stop(engine, run)
    return Cancelled(run.id, [])


async def _stop(engine: Engine, run: Run) -> None:
    """Stop the task of a running run, here or through its worker, and wait until it is closed."""
    task = engine.tasks.get(run.id)
    if task is not None:
        engine.cancelling.add(run.id)
        task.cancel()
        await asyncio.wait([task])
        engine.cancelling.discard(run.id)
        return
    with engine.live.watch(run.session_id) as feed:
        async with asyncio.timeout(REMOTE_WAIT_S):
            while True:
                change = feed.next_change()
                async with engine.database.autocommit() as tx:
                    now = await runs.find(tx, run.id)
                if now is None or now.status != "running":
                    return
                await change.wait()


async def close_cancelled(engine: Engine, run: Run, recorder: Recorder) -> None:
    """Store a cancelled attempt: what was shown, the partial answer marked so, every open call settled."""
    chunks = await recorder.stop()
    partial = recorder.partial()
    if partial is not None:
        recorder.messages.append(partial)
        chunks += [pack(c) for c in assistant_message(partial.content, streamed=True, partial=True)]
    chunks += [pack(error_chunk("cancelled", CANCELLED)), pack(done_chunk("cancelled", recorder.usage()))]
    async with engine.database.transaction() as tx:
        stored = await events.append(tx, run.session_id, run.request_id, join_deltas(chunks), run=run)
        await _settle(tx, run, recorder)
        await runs.close(tx, run, "cancelled", "cancelled")
    engine.live.publish(run.session_id, stored)


async def _settle(tx: Transaction, run: Run, recorder: Recorder) -> None:
    await calls.end_all(tx, run.session_id, "cancel")
    if recorder.plan is not None:
        await plans.set_summary(tx, recorder.plan)
    await settle.end_plan(tx, run.session_id, "cancelled")
    await store_records(tx, run, recorder, [AuditEntry("cancelled", actor="user", run_id=run.id)])


def _no_usage() -> dict[str, int | None]:
    return {"llm_calls": 0, "prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
