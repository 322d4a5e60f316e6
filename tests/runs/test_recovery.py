"""A run that lost its worker between any two statements goes on, says what is void, and offers nothing twice."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from errors import RunLost
from runs.decision.contract import Request
from runs.drive.ending import broken, end_run
from runs.drive.interrupted import hand_over
from runs.drive.recorder import Recorder, close_run
from runs.drive.recovery import take_over
from runs.engine import Engine
from runs.requests import take
from storage.tables import events, messages, runs, sessions
from storage.tables.runs import Run
from tests.runs.opened import opened
from tests.runs.test_cancel import active, log_of, until
from wire.chunks import pack
from wire.protocol import AssistantMessage, UserMessage

LONG = '#script\n[{"repeat": "word ", "times": 40, "delay": 0.02}]\nGo.'


async def claimed_but_not_driven(engine: Engine, content: str = '#script\n[{"text": "Said."}]\nGo.') -> Run:
    """A run whose process died right after its claim."""
    message = UserMessage(type="user_message", content=content, agent_type="coder")
    await take(engine, Request("s", message, ""))
    for task in list(engine.tasks.values()):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    run = await active(engine)
    assert run is not None
    return run


class Logged(NamedTuple):
    seq: int
    chunk: dict[str, Any]


async def log(engine: Engine) -> list[Logged]:
    async with engine.database.autocommit() as tx:
        return [Logged(event.seq, json.loads(event.packed)) for event in await events.read(tx, "s", 0)]


async def ended(engine: Engine) -> None:
    async def is_free() -> bool:
        run = await active(engine)
        return run is None or run.status == "paused"

    await until(is_free)


async def test_a_run_of_our_own_without_a_task_is_picked_up(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        await claimed_but_not_driven(engine)
        await ended(engine)
        history = (await client.get("/sessions/s/history"))["messages"]
        assert [m["content"] for m in history if m["role"] == "assistant"] == ["Said."]


async def test_text_of_dead_attempts_is_void_however_often_they_die(db_url: str) -> None:
    async with opened(db_url) as (engine, _):
        message = UserMessage(type="user_message", content=LONG, agent_type="coder")
        await take(engine, Request("s", message, ""))
        for death in range(3):

            async def has_words(already: int = death) -> bool:
                found = await log(engine)
                restarts = [e.seq for e in found if (e.chunk.get("metadata") or {}).get("status") == "restarted"]
                return len(restarts) == already and "word" in str(found[-1].chunk)

            await until(has_words)
            [task] = engine.tasks.values()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await ended(engine)
        found = await log(engine)
        restarts = [e.chunk["metadata"] for e in found if (e.chunk.get("metadata") or {}).get("status") == "restarted"]
        first_word = next(e.seq for e in found if e.chunk["type"] == "assistant_message")
        assert [told["from_seq"] for told in restarts] == [first_word] * 3
        assert [told["attempt"] for told in restarts] == [2, 3, 4]
        last = max(e.seq for e in found if (e.chunk.get("metadata") or {}).get("status") == "restarted")
        text = "".join(e.chunk["token"] for e in found if e.seq > last and "token" in e.chunk and e.chunk["token"])
        assert text == "word " * 40


async def test_a_run_handed_over_at_a_boundary_goes_on_there(db_url: str) -> None:
    replies = '[{"text": "I compute.", "tool": "calculator", "args": {"expr": "1 + 1"}}, {"text": "It is two."}]'
    async with opened(db_url, multi_agent_mode=False) as (engine, client):
        message = UserMessage(type="user_message", content=f"#script\n{replies}\nGo.", agent_type="universal")
        await take(engine, Request("s", message, ""))
        [run_id] = engine.controls
        engine.controls[run_id].request_drain("test")
        await asyncio.gather(*engine.tasks.values())
        handed_over = await active(engine)
        assert handed_over is not None
        assert handed_over.worker == 0
        await ended(engine)
        shown = await log_of(client)
        assert "restarted" not in shown
        history = (await client.get("/sessions/s/history"))["messages"]
        assert [m["content"] for m in history if m["role"] == "assistant"] == ["I compute.", "It is two."]


async def test_the_call_that_was_offered_before_the_death_is_not_offered_again(db_url: str) -> None:
    replies = (
        '[{"tool": "read_file", "args": {"path": "a"}, "id": "c1"}, {"repeat": "word ", "times": 9, "delay": 0.05}]'
    )
    async with opened(db_url) as (engine, client):
        await client.post({"type": "user_message", "content": f"#script\n{replies}\nGo.", "agent_type": "coder"})
        sending = asyncio.create_task(client.post({"type": "tool_result", "call_id": "c1", "result": "x"}))

        async def has_words() -> bool:
            return "word" in await log_of(client)

        await until(has_words)
        [task] = engine.tasks.values()
        task.cancel()
        _, chunks = await sending
        assert chunks[-1]["metadata"]["outcome"] == "completed"
        calls = [event for event in await log(engine) if event.chunk["type"] == "tool_call"]
        assert len(calls) == 1
        history = (await client.get("/sessions/s/history"))["messages"]
        assert [m["role"] for m in history] == ["user", "assistant", "tool", "assistant"]


async def _counts(engine: Engine) -> dict[str, int]:
    found = {}
    tables = ("events", "messages", "tool_calls", "audit_log", "llm_calls", "checkpoints")
    async with engine.database.autocommit() as tx:
        for table in tables:
            cursor = await tx.connection.execute(f"select count(*) from {table}")
            found[table] = (await cursor.fetchone())[0]
    return found


@pytest.mark.parametrize("closing", [close_run, hand_over])
async def test_a_worker_that_lost_its_run_writes_nothing(db_url: str, closing: Any) -> None:
    async with opened(db_url) as (engine, _):
        engine.is_draining = False
        run = await claimed_but_not_driven(engine)
        engine.is_draining = True  # so that the heartbeat leaves the run alone
        async with engine.database.transaction() as tx:
            taken = await runs.take_over(tx, run, worker=1)
        assert taken is not None
        assert taken.attempt == run.attempt + 1
        before = await _counts(engine)
        recorder, saver = Recorder(engine, run), engine.checkpoints.saver()
        recorder.messages.append(messages.MessageRecord("m", "assistant", "stale"))
        place: Any = {"configurable": {"thread_id": "s", "checkpoint_ns": ""}}
        checkpoint: Any = {
            "id": "1",
            "channel_values": {},
            "channel_versions": {},
            "versions_seen": {},
            "v": 4,
            "ts": "",
        }
        await saver.aput(place, checkpoint, {}, {})
        with pytest.raises(RunLost):
            await closing(engine, run, recorder, [AssistantMessage(token="stale")], saver)
        with pytest.raises(RunLost):
            await end_run(engine, run, broken("e"))
        async with engine.database.transaction() as tx:
            with pytest.raises(RunLost):
                await events.append(tx, "s", run.request_id, [pack(AssistantMessage(token="stale"))], run=run)
        assert await _counts(engine) == before


async def test_a_writer_that_lost_its_run_stops_the_model_at_once(db_url: str) -> None:
    async with opened(db_url) as (engine, _):
        message = UserMessage(type="user_message", content=LONG, agent_type="coder")
        await take(engine, Request("s", message, ""))
        [task] = engine.tasks.values()
        run = await active(engine)
        assert run is not None
        async with engine.database.transaction() as tx:
            await runs.take_over(tx, run, worker=1)
        await asyncio.wait([task], timeout=0.7)
        assert task.done(), "the model speaks on for a run that is lost"


async def test_only_one_of_two_takes_an_orphan(db_url: str) -> None:
    async with opened(db_url) as (engine, _):
        run = await claimed_but_not_driven(engine)
        taken = await asyncio.gather(*(take_over(engine, replace(run)) for _ in range(5)))
        assert sum(taken) <= 1
        await ended(engine)
        async with engine.database.autocommit() as tx:
            session = await sessions.find_any(tx, "s")
        assert session is not None
        assert session.message_count == 2


async def test_a_run_that_cannot_be_closed_fails_and_frees_its_session(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        run = await claimed_but_not_driven(engine)
        await end_run(engine, run, broken("error-1"))
        status, chunks = await client.play([{"text": "Next."}])
        assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed")
