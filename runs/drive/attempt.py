"""One attempt of one run, in the background: drive the graph, record what it says, close."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Overwrite

import logs
from context import Context
from errors import RunLost
from policy.decide import Environment, Facts
from runs.budget import RunBudget
from runs.drive.ending import Ending, broken, cancelled, end_run, end_surely, internal_error
from runs.drive.interrupted import close_cancelled, hand_over
from runs.drive.recorder import Recorder, close_run
from runs.engine import Engine, Known
from runs.thread import missing_messages
from storage.checkpoints import KeptThread, RunSaver
from storage.database import now, patiently
from storage.session_state import NewestRun
from storage.tables import calls, messages, rules, runs, sessions
from storage.tables.runs import Run
from telemetry import tracing
from wire.protocol import Chunk

RECURSION_LIMIT = 400
"""Supersteps an attempt, far above what the limits of a turn allow: a net, not a limit of its own."""
REASON_CHARS = 500
_log = logging.getLogger("runs.drive")


@dataclass(frozen=True)
class Start:
    """Where an attempt begins: the graph's input, and the last event of the session that the run knows."""

    graph_input: Any
    written_to: int = 0
    known: Known | None = None
    """What the claim has read of the session; without it the attempt reads it."""
    newest: NewestRun | None = None
    """The run before, whose end has stored the thread; only with `known`."""


Prepare = Callable[[], Awaitable[Start]]
Closing = Callable[[Engine, Run, Recorder, list[Chunk], RunSaver], Awaitable[None]]


def start_driving(engine: Engine, run: Run, prepare: Prepare, log_end: int | None = None) -> None:
    """Drive a claimed run in the background, from where `prepare` says; a client that leaves does not stop it.

    `log_end` is the last event of the session before the run was claimed: what follows is kept for its readers.
    """
    engine.controls[run.id] = RunControl()
    feeding = ExitStack()
    feed = feeding.enter_context(engine.broadcast.watch(run.session_id))
    if log_end is not None:
        feed.begin(log_end)
    _start(engine, run, drive(engine, run, prepare)).add_done_callback(lambda _: feeding.close())


def start_ending(engine: Engine, run: Run, ending: Ending) -> None:
    """End a claimed run in the background without driving it."""
    _start(engine, run, end_surely(engine, run, ending))


def _start(engine: Engine, run: Run, step: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    with logs.bound(session=run.session_id, run=run.id):
        task = asyncio.create_task(step, name=f"run {run.id}")
    engine.tasks[run.id] = task
    engine.load.run_begins(run.id, None)
    task.add_done_callback(partial(_forget, engine, run))
    return task


def _forget(engine: Engine, run: Run, task: asyncio.Task[None]) -> None:
    if engine.tasks.get(run.id) is task:
        del engine.tasks[run.id]
        engine.controls.pop(run.id, None)
        engine.cancelling.discard(run.id)
        engine.load.run_ends(run.id)
    if not task.cancelled() and task.exception() is not None:
        fields = {"action": "run_task_failed", "session": run.session_id, "run": run.id}
        _log.error("the task of a run failed", exc_info=task.exception(), extra=fields)


async def drive(engine: Engine, run: Run, prepare: Prepare) -> None:
    """Run the graph until it pauses or ends, and close the run; a worker that lost its run leaves no trace."""
    with tracing.span(
        "invoke_agent",
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.conversation.id": run.session_id,
            "codelab.run.id": run.id,
            "codelab.attempt": run.attempt,
        },
        traceparent=run.input.get("trace"),
    ) as span:
        recorder = Recorder(engine, run)
        await _drive(engine, run, prepare, recorder)
        if recorder.failure is not None:
            span.fail(recorder.failure)


async def _drive(engine: Engine, run: Run, prepare: Prepare, recorder: Recorder) -> None:
    saver = engine.checkpoints.saver()
    closing: Closing = close_run
    try:
        try:
            await _say(engine, run, prepare, recorder, saver)
        except asyncio.CancelledError:
            if recorder.log.broken is not None:
                raise recorder.log.broken from None
            if run.id not in engine.cancelling:
                raise
            closing = close_cancelled
        except GraphDrained:
            closing = hand_over
        except RunLost:
            raise
        except Exception:  # noqa: BLE001 it becomes the outcome of the run
            saver.discard()
            recorder.failure = "internal"
            recorder.log.say(internal_error(_log_failure(run)))
        await _whole(engine, _close(engine, run, recorder, saver, closing))
    except RunLost:
        _log.warning("run lost", extra={"action": "run_lost", "session": run.session_id, "run": run.id})
        # Perhaps it was closed here and the answer to the commit got lost: its readers look into the table.
        engine.broadcast.invalidate(run.session_id)
    except Exception as error:  # noqa: BLE001 the session must be free again, whatever could not be stored
        await _whole(engine, _end_broken(engine, run, error))
    finally:
        recorder.log.abandon()


async def _say(engine: Engine, run: Run, prepare: Prepare, recorder: Recorder, saver: RunSaver) -> None:
    lease = _LeaseCheck(engine, run)
    start = await patiently(prepare, engine.database)
    recorder.log.open(start.written_to, asyncio.current_task())
    if start.known is not None:
        saver.begin(_kept_thread(engine, run, start, saver))
    known = start.known
    if known is None:
        known = await patiently(partial(_read_known, engine, run), engine.database)
    built = _build_context(engine, run, known)
    context = replace(built, write=recorder.take_event, before_model_request=lease.check)
    graph = engine.graph.copy({"checkpointer": saver})
    stream = graph.astream(
        start.graph_input,
        thread_config(run),
        context=context,
        stream_mode="updates",
        durability="exit",
        control=engine.controls[run.id],
    )
    async for updates in stream:
        recorder.take(updates)


def _kept_thread(engine: Engine, run: Run, start: Start, saver: RunSaver) -> KeptThread | None:
    """The thread of the run before, where this process has stored it; empty in a session without runs."""
    if start.newest is None:
        return KeptThread(saver.serde)
    return engine.checkpoints.threads.take(run.session_id, start.newest.id, start.newest.attempt)


async def _close(engine: Engine, run: Run, recorder: Recorder, saver: RunSaver, closing: Closing) -> None:
    chunks = await recorder.log.close()
    await patiently(partial(closing, engine, run, recorder, chunks, saver), engine.database)


async def _end_broken(engine: Engine, run: Run, error: Exception) -> None:
    """End a run whose closing failed; where not even that is stored the next attempt tries, but not after a cancel."""
    error_id = _log_failure(run)
    if run.id in engine.cancelling:
        await end_surely(engine, run, cancelled())
        return
    try:
        await patiently(partial(end_run, engine, run, broken(error_id)), engine.database)
    except RunLost:
        _log.warning("run lost", extra={"action": "run_lost", "session": run.session_id, "run": run.id})
    except Exception:  # noqa: BLE001 recorded; the run is taken over after a pause
        _log_failure(run)
        async with engine.database.autocommit() as tx:
            await runs.note_reason(tx, run, f"{type(error).__name__}: {error}"[:REASON_CHARS])


async def _whole(engine: Engine, ending: Coroutine[Any, Any, None]) -> None:
    """See an ending through: a cancel that comes now is too late to change it, unless the process ends."""
    task = asyncio.create_task(ending)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if engine.is_halted:
                task.cancel()
                raise
    task.result()


def _log_failure(run: Run) -> str:
    error_id = uuid.uuid4().hex[:12]
    fields = {"action": "run_failed", "session": run.session_id, "run": run.id, "error_id": error_id}
    _log.exception("run failed", extra=fields)
    return error_id


def thread_config(run: Run) -> RunnableConfig:
    """LangGraph's config for a run; run id and attempt mark every checkpoint that it writes."""
    return {
        "configurable": {"thread_id": run.session_id, "__pregel_strict_resume": True},
        "recursion_limit": RECURSION_LIMIT,
        "metadata": {"run_id": run.id, "attempt": run.attempt},
    }


async def _read_known(engine: Engine, run: Run) -> Known:
    async with engine.database.autocommit() as tx:
        session = await sessions.find_any(tx, run.session_id)
        remembered = await rules.listing(tx, run.session_id)
    if session is None:
        raise RunLost
    return Known(session.environment, session.switch_count, session.owner, tuple(rule.rule for rule in remembered))


class _LeaseCheck:
    """Whether an attempt still has its run: a process that slept, or lost its lease, may have lost it."""

    def __init__(self, engine: Engine, run: Run) -> None:
        self._engine, self._run, self._known_at = engine, run, time.monotonic()

    async def check(self) -> None:
        """Raise RunLost when another worker has the run by now; the table is read only after a gap in the lease."""
        lease, asked_at = self._engine.lease, time.monotonic()
        if lease.since <= self._known_at and asked_at < lease.until:
            return
        found = await patiently(self._read, self._engine.database)
        if found is None or found.attempt != self._run.attempt:
            raise RunLost
        self._known_at = asked_at

    async def _read(self) -> Run | None:
        async with self._engine.database.autocommit() as tx:
            return await runs.find(tx, self._run.id)


def _build_context(engine: Engine, run: Run, known: Known) -> Context:
    """What the nodes of this run are given."""
    settings = engine.settings

    async def used_calls(call_ids: Iterable[str]) -> set[str]:
        wanted = list(call_ids)
        if not wanted:
            return set()

        async def look() -> set[str]:
            async with engine.database.autocommit() as tx:
                return await calls.used(tx, run.session_id, wanted)

        return await patiently(look, engine.database)

    return Context(
        edits_are_judged=True,
        models=engine.models,
        rules=engine.rules,
        classifications=engine.classifications,
        facts=Facts(
            environment=Environment.read(known.environment) if known.environment else Environment(),
            session_rules=known.rules,
        ),
        used_calls=used_calls,
        clock=now,
        budget=RunBudget(engine, run, known.owner) if engine.settings.budgets else None,
        environment=known.environment,
        multi_agent=settings.multi_agent_mode,
        offer_all_calls=run.protocol_version >= 2,
        switch_approval=settings.switch_approval,
        max_model_calls=settings.max_model_calls_per_turn,
        max_tool_result_chars=settings.max_tool_result_chars,
        context_tokens=settings.llm_context_tokens,
        switches_left=max(0, settings.max_switches - known.switch_count),
        prompt_size=settings.prompt_size,
        prompt_reload=settings.prompt_reload,
    )


async def new_turn_input(engine: Engine, run: Run, *, is_first: bool = False) -> dict[str, Any]:
    """The input of a new turn; after a run that ended without its last checkpoint the thread is repaired by it.

    `is_first` says that the session had no run before.
    """
    if not run.input["repair"]:
        return turn_input(run, begins=is_first)
    graph = engine.graph.copy({"checkpointer": engine.checkpoints.saver()})
    snapshot = await graph.aget_state(thread_config(run))
    async with engine.database.autocommit() as tx:
        history = await messages.history(tx, run.session_id)
    earlier = [record for record in history if record.id != run.input["message_id"]]
    known = snapshot.values.get("messages", [])
    missing = missing_messages(known, earlier, engine.settings.max_tool_result_chars)
    return turn_input(run, missing)


def turn_input(run: Run, missing: Sequence[AnyMessage] = (), *, begins: bool = False) -> dict[str, Any]:
    """The graph's input for a new turn, from the run's journal; `missing` repairs the thread first.

    `begins` says that the thread is new: its first checkpoint then holds the messages themselves, instead of an empty
    checkpoint before it that the writes of both messages belong to.
    """
    journal = run.input
    request = HumanMessage(journal["content"], id=journal["message_id"])
    found: dict[str, Any] = {
        "messages": Overwrite([request]) if begins else [*missing, request],
        "agent": journal["agent"],
        "chosen_by": journal["chosen_by"],
        "previous_agent": journal["previous_agent"],
        "turn": {},
    }
    return found | ({"round": []} if journal["repair"] else {})
