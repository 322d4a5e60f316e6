"""Finishing what a dead worker left: the newest checkpoint says how far its run has come (S29)."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from runs import thread
from runs.close import close_run
from runs.drive import new_turn_input, start_driving, thread_config
from runs.engine import Engine
from runs.recorder import Recorder
from storage import calls, events, messages, runs
from storage.runs import Run
from wire.chunks import assistant_message
from wire.frames import pack
from wire.protocol import Status

_log = logging.getLogger("runs.recovery")


async def take_over_orphans(engine: Engine) -> int:
    """Claim every run whose worker is gone and go on with it; returns how many were taken."""
    async with engine.database.autocommit() as tx:
        orphans = await runs.orphans(tx, engine.worker)
    taken = 0
    for orphan in orphans:
        async with engine.database.transaction() as tx:
            attempt = await runs.take_over(tx, orphan, engine.worker)
        if attempt is not None:
            run = replace(orphan, worker=engine.worker, attempt=attempt)
            fields = {"action": "run_taken_over", "session": run.session_id, "run": run.id, "attempt": attempt}
            _log.info("run taken over", extra=fields)
            await recover(engine, run)
            taken += 1
    return taken


async def recover(engine: Engine, run: Run) -> None:
    """Go on with a run that was claimed anew: close it, publish its calls, resume it or drive it on."""
    graph = engine.graph.copy({"checkpointer": engine.checkpoints.saver()})
    snapshot = await graph.aget_state(thread_config(run))
    await _announce(engine, run)
    if (snapshot.metadata or {}).get("run_id") != run.id:
        start_driving(engine, run, await new_turn_input(engine, run))
        return
    if snapshot.interrupts:
        async with engine.database.autocommit() as tx:
            records = await calls.round_of(tx, run.id)
        published = {record.interrupt_id for record in records}
        if published == {interrupt.id for interrupt in snapshot.interrupts}:
            start_driving(engine, run, thread.resume_command(records))
            return
        await _close(engine, run, snapshot, list(snapshot.interrupts))
    elif not snapshot.next and not snapshot.tasks:
        await _close(engine, run, snapshot, [])
    else:
        start_driving(engine, run, None)


async def _announce(engine: Engine, run: Run) -> None:
    """Declare void what the dead attempt had shown of this request (S29)."""
    async with engine.database.transaction() as tx:
        from_seq = await tx.value("void_from", session_id=run.session_id, run_id=run.id, request_id=run.request_id)
        if from_seq is None:
            return
        metadata: dict[str, Any] = {"status": "restarted", "attempt": run.attempt, "from_seq": from_seq}
        sentence = "The server was restarted; what was shown of this answer comes again."
        chunk = pack(Status(content=sentence, metadata=metadata))
        stored = await events.append(tx, run.session_id, run.request_id, [chunk], run=run)
    engine.live.publish(run.session_id, stored)


async def _close(engine: Engine, run: Run, snapshot: Any, interrupts: list[Any]) -> None:
    """Store an attempt whose checkpoint was written but not its rows: what it said is read from the thread."""
    recorder = Recorder(engine, run)
    recorder.interrupts = interrupts
    recorder.agent, recorder.chosen_by = snapshot.values.get("agent"), snapshot.values.get("chosen_by")
    async with engine.database.autocommit() as tx:
        known = {record.id for record in await messages.history(tx, run.session_id)}
    new = [message for message in snapshot.values.get("messages", []) if message.id not in known]
    recorder.messages = [record for record in map(thread.message_record, new) if record is not None]
    for text, before_call in _said(new):
        metadata = {"before_tool_call": True} if before_call else {}
        recorder.say(*assistant_message(text, streamed=False, **metadata))
    await close_run(engine, run, recorder, recorder.unwritten())


def _said(messages_: list[AnyMessage]) -> list[tuple[str, bool]]:
    """The texts that the user has to see again: (text, whether it stood beside a call)."""
    said: list[tuple[str, bool]] = []
    for message in messages_:
        text = str(message.text)
        if isinstance(message, AIMessage) and text.strip():
            said.append((text, bool(message.tool_calls)))
        elif isinstance(message, ToolMessage) and message.name == "attempt_completion":
            said.append((thread.completion_result(text), False))
    return said
