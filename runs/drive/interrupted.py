"""The ends of attempts that did not end by themselves: cancelled (docs/scenarios.md S26), or handed over."""

from __future__ import annotations

from dataclasses import replace

from errors import RunLost
from runs.apply import close
from runs.decision.contract import CloseRun, Effects, ReleaseRun
from runs.decision.supersede import CANCELLED, end_plan
from runs.drive.ending import settled_messages
from runs.drive.recorder import Recorder
from runs.engine import Engine
from runs.log.writer import join_deltas
from state import tool_message_id
from storage.checkpoints import RunSaver
from storage.session_state import read_state
from storage.tables import sessions
from storage.tables.audit import AuditEntry
from storage.tables.messages import MessageRecord
from storage.tables.plans import PlanRecord
from storage.tables.runs import Run
from storage.tables.sessions import Session
from wire.chunks import assistant_message, done_chunk
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
    left = recorder.left(join_deltas([*chunks, *ending]))
    async with engine.database.transaction(long=True) as tx:
        await sessions.find_any(tx, run.session_id, lock=True)
        state = await read_state(tx, run.session_id)
        if state.session is None:
            raise RunLost
        settled = await settled_messages(tx, run)
        effects = replace(
            left,
            closes=CloseRun("cancelled", "cancelled", "cancelled"),
            new_calls=(),
            new_plans=(),
            plan=None,
            messages=(*settled, *left.messages, *_not_started(recorder), *([partial] if partial else [])),
            audit=(*left.audit, AuditEntry("cancelled", actor="user", run_id=run.id)),
        )
        stored = await close(engine, tx, run, _with_plan_ended(effects, state.session, state.plan, recorder))
    engine.broadcast.publish(run.session_id, stored)
    recorder.count("cancelled")


async def hand_over(engine: Engine, run: Run, recorder: Recorder, chunks: list[Chunk], saver: RunSaver) -> None:
    """Store an attempt that was stopped between two supersteps; another worker goes on from there.

    What was said so far stays valid: the checkpoint carries how far the log had come (see `runs.drive.recovery`).
    """
    effects = replace(recorder.left(join_deltas(chunks)), closes=ReleaseRun())
    async with engine.database.transaction(long=True) as tx:
        session = await sessions.find_any(tx, run.session_id, lock=True)
        if session is None:
            raise RunLost
        saver.mark(log_seq=session.last_seq + len(effects.chunks))
        stored = await close(engine, tx, run, effects, saver)
    engine.broadcast.publish(run.session_id, stored)
    recorder.count("handed_over")


def _not_started(recorder: Recorder) -> list[MessageRecord]:
    """The one tool message of every call that the attempt made and did not carry out."""
    answered = {record.tool_call_id for record in recorder.messages if record.role == "tool"}
    return [
        MessageRecord(tool_message_id(call["id"]), "tool", NOT_STARTED, call["name"], call["id"])
        for record in recorder.messages
        for call in record.tool_calls or ()
        if call["id"] not in answered
    ]


def _with_plan_ended(effects: Effects, session: Session, plan: PlanRecord | None, recorder: Recorder) -> Effects:
    """End the plan that executes, as far as the attempt has come with it."""
    if effects.agent is not None:
        session = replace(session, current_agent=effects.agent.agent, agent_chosen_by=effects.agent.chosen_by)
    if plan is not None and recorder.plan is not None:
        plan = replace(plan, summary=recorder.plan)
    ended, agent = end_plan(session, plan, "cancelled")
    if ended is None:
        return effects
    if agent is not None and effects.agent is not None:
        agent = replace(agent, switches=agent.switches + effects.agent.switches)
    return replace(effects, plan=ended, agent=agent or effects.agent)
