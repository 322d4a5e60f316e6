"""One attempt of one run, in the background: drive the graph, record what it says, close."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Coroutine, Iterable
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from context import Context
from errors import NotReady, RunLost
from policy.decide import Environment, Facts
from runs import thread
from runs.cancel import close_cancelled
from runs.close import close_run
from runs.engine import Engine
from runs.recorder import RETRY_S, Recorder
from storage import calls, messages, rules, sessions
from storage.runs import Run
from wire.protocol import error_chunk

RECURSION_LIMIT = 400
"""Supersteps an attempt, far above what the limits of a turn allow: a net, not a limit of its own."""
_log = logging.getLogger("runs.drive")


def start_driving(engine: Engine, run: Run, graph_input: Any) -> None:
    """Drive a claimed run in the background; a client that leaves does not stop it."""
    task = asyncio.create_task(drive(engine, run, graph_input), name=f"run {run.id}")
    engine.tasks[run.id] = task
    task.add_done_callback(lambda _: engine.tasks.pop(run.id, None))


async def drive(engine: Engine, run: Run, graph_input: Any) -> None:
    """Run the graph from `graph_input` (None goes on from the last checkpoint) until it pauses or ends."""
    recorder = Recorder(engine, run)
    recorder.start()
    try:
        try:
            context = await _patiently(lambda: build_context(engine, run))
            graph = engine.graph.copy({"checkpointer": engine.checkpoints.saver(run.id, run.attempt)})
            stream = graph.astream(
                graph_input,
                thread_config(run),
                context=context,
                stream_mode=["updates", "custom"],
                version="v2",
                durability="exit",
            )
            async for item in stream:
                recorder.take(cast(dict[str, Any], item))
        except asyncio.CancelledError:
            if run.id not in engine.cancelling:
                raise
            await _whole(_patiently(lambda: close_cancelled(engine, run, recorder)))
            return
        except RunLost:
            raise
        except Exception:  # noqa: BLE001 it becomes the outcome of the run
            error_id = uuid.uuid4().hex[:12]
            fields = {"action": "run_failed", "session": run.session_id, "run": run.id, "error_id": error_id}
            _log.exception("run failed", extra=fields)
            recorder.failure = "internal"
            sentence = "Something went wrong on our side. Please try again."
            recorder.say(error_chunk("internal", sentence, retryable=True, error_id=error_id))
        await _whole(_close(engine, run, recorder))
    except RunLost:
        _log.warning("run lost", extra={"action": "run_lost", "session": run.session_id, "run": run.id})


async def _close(engine: Engine, run: Run, recorder: Recorder) -> None:
    chunks = await recorder.stop()
    await _patiently(lambda: close_run(engine, run, recorder, chunks))


async def _whole(ending: Coroutine[Any, Any, None]) -> None:
    """See an ending through: a cancel that comes now is too late to change it."""
    task = asyncio.create_task(ending)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    await task


async def _patiently(step: Any) -> Any:
    """Repeat a step while the database is away: the run waits and goes on."""
    while True:
        try:
            return await step()
        except NotReady:
            await asyncio.sleep(RETRY_S)


def thread_config(run: Run) -> RunnableConfig:
    """LangGraph's config for a run; run id and attempt mark every checkpoint that it writes."""
    return {
        "configurable": {"thread_id": run.session_id, "__pregel_strict_resume": True},
        "recursion_limit": RECURSION_LIMIT,
        "metadata": {"run_id": run.id, "attempt": run.attempt},
    }


async def build_context(engine: Engine, run: Run) -> Context:
    """What the nodes of this run are given."""
    settings = engine.settings
    async with engine.database.autocommit() as tx:
        session = await sessions.find_any(tx, run.session_id)
        remembered = await rules.listing(tx, run.session_id)
    if session is None:
        raise RunLost

    async def used_calls(call_ids: Iterable[str]) -> set[str]:
        async with engine.database.autocommit() as tx:
            return await calls.used(tx, run.session_id, call_ids)

    return Context(
        models=engine.models,
        rules=engine.rules,
        routes=engine.routes,
        facts=Facts(
            environment=Environment.read(session.environment),
            session_rules=tuple(rule.rule for rule in remembered),
        ),
        used_calls=used_calls,
        environment=session.environment,
        multi_agent=settings.multi_agent_mode,
        offer_all_calls=run.protocol_version >= 2,
        switch_approval=settings.switch_approval,
        max_model_calls=settings.max_model_calls_per_turn,
        max_tool_result_chars=settings.max_tool_result_chars,
        context_tokens=settings.llm_context_tokens,
        switches_left=max(0, settings.max_switches - session.switch_count),
        prompt_reload=settings.prompt_reload,
    )


async def new_turn_input(engine: Engine, run: Run) -> dict[str, Any]:
    """The input of a new turn; after a run that ended without its last checkpoint the thread is repaired by it."""
    if not run.input["repair"]:
        return thread.turn_input(run)
    graph = engine.graph.copy({"checkpointer": engine.checkpoints.saver()})
    snapshot = await graph.aget_state(thread_config(run))
    async with engine.database.autocommit() as tx:
        history = await messages.history(tx, run.session_id)
    earlier = [record for record in history if record.id != run.input["message_id"]]
    return thread.turn_input(run, thread.missing_messages(snapshot.values.get("messages", []), earlier))
