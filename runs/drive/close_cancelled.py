"""The end of a cancelled attempt: its text is kept, each call that it made is settled (docs/scenarios.md S26)."""

from __future__ import annotations

from dataclasses import replace

from errors import RunLost
from runs.decision.supersede import CANCELLED, end_plan
from runs.drive.close import store_records, store_settled
from runs.drive.recorder import Recorder
from runs.engine import Engine
from runs.log.writer import join_deltas
from runs.run_end import store_end
from state import tool_message_id
from storage.checkpoints import RunSaver
from storage.database import Transaction
from storage.tables import events, messages, plans, sessions
from storage.tables.audit import AuditEntry
from storage.tables.messages import MessageRecord
from storage.tables.runs import Run
from wire.chunks import assistant_message, done_chunk, pack
from wire.protocol import Chunk, error_chunk

NOT_STARTED = "The user cancelled the run before this call was started. It was not run."


async def close_cancelled(engine: Engine, run: Run, recorder: Recorder, chunks: list[Chunk], saver: RunSaver) -> None:
    """Store a cancelled attempt: what was shown, the partial answer marked so, every call settled.

    The thread stays as it was before; the next turn repairs it from the history.
    """
    saver.discard()
    partial = recorder.partial()
    ending: list[Chunk] = []
    if partial is not None:
        ending += assistant_message(partial.content, streamed=True, partial=True)
    ending += [error_chunk("cancelled", CANCELLED), done_chunk("cancelled", recorder.usage())]
    async with engine.database.transaction(long=True) as tx:
        told = [pack(chunk) for chunk in join_deltas([*chunks, *ending])]
        stored = await events.append(tx, run.session_id, run.request_id, told, run=run)
        await _settle(tx, run, recorder, [] if partial is None else [partial])
        await store_end(tx, engine, run, "cancelled", "cancelled", "cancelled")
    engine.broadcast.publish(run.session_id, stored)
    recorder.count("cancelled")


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
    session, plan = await sessions.find_any(tx, run.session_id), await plans.active(tx, run.session_id)
    if session is None:
        raise RunLost
    if plan is not None and recorder.plan is not None:
        plan = replace(plan, summary=recorder.plan)
    ended, agent = end_plan(session, plan, "cancelled")
    if ended is not None:
        await plans.store(tx, ended.plan_id, ended.summary, ended.status)
    if agent is not None:
        await sessions.set_agent(tx, run.session_id, agent.agent, agent.chosen_by, switches=agent.switches)
