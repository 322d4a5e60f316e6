"""One running run per session: the next message waits in order, not for ever, and across instances."""

from __future__ import annotations

import asyncio
from functools import partial

from runs.engine import Engine
from tests.databases import PostgresServer
from tests.runs.opened import opened
from tests.runs.test_cancel import SLOW, streaming, until


async def test_who_may_not_wait_is_served_when_the_session_is_free(db_url: str) -> None:
    async with opened(db_url, session_wait_seconds=0) as (_, client):
        for turn in range(3):
            status, _ = await client.play([{"text": f"Answer {turn}."}])
            assert status == 200


async def test_who_waited_long_enough_is_told_that_the_session_is_busy(db_url: str) -> None:
    async with opened(db_url, session_wait_seconds=0.3) as (_, client):
        asking = await streaming(client, SLOW)
        status, [refusal] = await client.play([{"text": "Never said."}])
        assert (status, refusal["code"]) == (409, "session_busy")
        await client.http.post("/sessions/s/cancel")
        await asking
        history = (await client.get("/sessions/s/history"))["messages"]
        assert len(history) == 2, "a refused message is not kept"


async def _is_queued(engine: Engine, count: int) -> bool:
    return "s" in engine.claims and engine.claims["s"].requests == count


async def test_messages_are_answered_in_order_of_arrival(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        asking = [await streaming(client, [{"repeat": "word ", "times": 30, "delay": 0.02}])]
        for number in range(8):
            asking.append(asyncio.create_task(client.play([{"text": f"Answer {number}."}])))
            await until(partial(_is_queued, engine, number + 1))
        await asyncio.gather(*asking)
        history = (await client.get("/sessions/s/history"))["messages"]
        answers = [m["content"] for m in history if m["role"] == "assistant"]
        assert answers[1:] == [f"Answer {number}." for number in range(8)]


async def test_a_message_waits_for_a_run_of_another_instance(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with opened(url) as (_, one), opened(url) as (_, other):
            asking = await streaming(one, [{"repeat": "word ", "times": 30, "delay": 0.02}])
            status, chunks = await other.play([{"text": "After it."}])
            assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed")
            assert asking.done() or (await asking)[0] == 200
            history = (await other.get("/sessions/s/history"))["messages"]
            assert [m["role"] for m in history] == ["user", "assistant"] * 2


async def test_a_draining_process_refuses_new_runs(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        await client.play([{"tool": "read_file", "args": {"path": "a.py"}, "id": "c1"}, {"text": "Read."}])
        engine.is_draining = True
        for refused in (
            await client.post({"type": "user_message", "content": "hello"}, "t"),
            await client.post({"type": "tool_result", "call_id": "c1", "result": "x"}),
        ):
            assert (refused[0], refused[1][0]["code"]) == (503, "not_ready")
        assert (await client.http.get("/ready")).status_code == 503
        engine.is_draining = False
        _, chunks = await client.post({"type": "tool_result", "call_id": "c1", "result": "x"})
        assert chunks[-1]["metadata"]["outcome"] == "completed", "the refused result was taken after all"
