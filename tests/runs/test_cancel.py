"""Stopping a run: at once, with what was said so far kept, from whichever instance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from benchmarks.performance.processes import postgresql
from runs.engine import Engine
from storage.tables import runs
from storage.tables.runs import Run
from tests.databases import PostgresServer
from tests.ide import Chunk
from tests.runs.opened import Client, opened
from tests.test_turn_cost import of_turns

SLOW = [{"repeat": "word ", "times": 500, "delay": 0.02}]
MOST_STATEMENTS = 16


async def until(fact: Callable[[], Awaitable[Any]], within_s: float = 10.0) -> Any:
    """Wait for a fact."""
    deadline = time.monotonic() + within_s
    while not (found := await fact()):
        assert time.monotonic() < deadline, f"{fact} did not become true in {within_s} s"
        await asyncio.sleep(0.01)
    return found


async def active(engine: Engine) -> Run | None:
    async with engine.database.autocommit() as tx:
        return await runs.active(tx, "s")


async def log_of(client: Client) -> str:
    response = await client.http.get("/sessions/s/stream?follow=false")
    return response.text if response.status_code == 200 else ""


async def streaming(client: Client, replies: list[dict[str, Any]]) -> asyncio.Task[tuple[int, list[Chunk]]]:
    """Start a message and wait until its first words are in the log."""
    asking = asyncio.create_task(client.play(replies))

    async def has_words() -> bool:
        return "word" in await log_of(client)

    await until(has_words)
    return asking


async def test_cancel_keeps_the_partial_answer_and_frees_the_session(db_url: str) -> None:
    async with opened(db_url) as (_, client):
        asking = await streaming(client, SLOW)
        cancelled = (await client.http.post("/sessions/s/cancel")).json()
        _, chunks = await asking
        assert cancelled["cancelled"] is True
        partial, error, done = chunks[-3:]
        assert partial["metadata"] == {"partial": True}
        assert (error["type"], done["metadata"]["outcome"]) == ("error", "cancelled")
        text = "".join(c["token"] for c in chunks if c["type"] == "assistant_message" and not c["is_final"])
        assert partial["content"] == text
        assert 0 < text.count("word") < 500, "the model had not finished"
        history = (await client.get("/sessions/s/history"))["messages"]
        assert history[-1] == {"role": "assistant", "content": text}
        status, chunks = await client.play([{"text": "Next."}])
        assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed")


async def test_cancel_on_another_instance(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with opened(url) as (_, one), opened(url) as (_, other):
            asking = await streaming(one, SLOW)
            cancelled = (await other.http.post("/sessions/s/cancel")).json()
            assert cancelled["cancelled"] is True
            _, chunks = await asking
            assert chunks[-1]["metadata"]["outcome"] == "cancelled"
            assert 0 < str(chunks[-3]["content"]).count("word") < 500, "the model had not finished"


def test_a_cancel_at_another_instance_takes_few_statements() -> None:
    """What the request reads and writes, what the other instance closes, and one look when it has: two that commit."""

    async def run(db_url: str) -> tuple[int, int]:
        async with opened(db_url) as (_, one), opened(db_url) as (_, other):
            asking = await streaming(one, SLOW)
            before = len(meter.statements())
            assert (await other.http.post("/sessions/s/cancel")).json()["cancelled"] is True
            await asking
            return before, len(meter.statements())

    with postgresql() as (server, meter), server.database() as db_url:
        meter.log_statements(on=True)
        before, after = asyncio.run(run(db_url))
        sent = of_turns(meter.statements()[before:after])
    at_the_other = [line for line in sent if "requested" in line or line.startswith(("begin", "COMMIT"))]
    assert len(at_the_other) == 3, "the request in one statement, the end in a transaction:\n" + "\n".join(sent)
    assert len(sent) <= MOST_STATEMENTS, "\n".join(sent)


async def test_a_session_that_is_locked_holds_no_cancel_up(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with (
            opened(url) as (_, one),
            opened(url) as (engine, other),
            await psycopg.AsyncConnection.connect(url) as holder,
        ):
            asking = await streaming(one, SLOW)
            await holder.execute("select 1 from sessions where id = 's' for update")
            cancelling = asyncio.create_task(other.http.post("/sessions/s/cancel"))

            async def is_requested() -> bool:
                assert not cancelling.done(), f"answered while the session was locked: {cancelling.result()}"
                run = await active(engine)
                return run is not None and run.cancel_requested

            await until(is_requested)
            await holder.rollback()
            assert (await cancelling).json()["cancelled"] is True
            _, chunks = await asking
            assert chunks[-1]["metadata"]["outcome"] == "cancelled"


async def test_cancel_of_a_call_that_waits_settles_it(db_url: str) -> None:
    async with opened(db_url) as (_, client):
        await client.play([{"tool": "write_file", "args": {"path": "a", "content": ""}, "id": "c1"}])
        cancelled = (await client.http.post("/sessions/s/cancel")).json()
        assert cancelled["settled_calls"] == ["c1"]
        assert (await client.get("/sessions/s/pending-approvals"))["count"] == 0
        history = (await client.get("/sessions/s/history"))["messages"]
        assert "cancelled the run before this call was decided" in history[-1]["content"]
        again = (await client.http.post("/sessions/s/cancel")).json()
        assert again["cancelled"] is False


async def test_cancel_after_a_result_keeps_the_result(db_url: str) -> None:
    async with opened(db_url) as (_, client):
        await client.play([{"tool": "read_file", "args": {"path": "a.py"}, "id": "c1"}, *SLOW])
        sending = asyncio.create_task(client.post({"type": "tool_result", "call_id": "c1", "result": "content"}))

        async def has_words() -> bool:
            return "word" in await log_of(client)

        await until(has_words)
        await client.http.post("/sessions/s/cancel")
        await sending
        history = (await client.get("/sessions/s/history"))["messages"]
        assert [m["role"] for m in history] == ["user", "assistant", "tool", "assistant"]
        assert history[2]["content"] == "content"
        _, chunks = await client.play([{"text": "Next."}])
        assert chunks[-1]["metadata"]["outcome"] == "completed", "the model was given a broken history"


async def test_a_client_that_leaves_does_not_stop_the_run(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        asking = await streaming(client, [{"repeat": "word ", "times": 20, "delay": 0.02}])
        asking.cancel()

        async def has_ended() -> bool:
            return await active(engine) is None

        await until(has_ended)
        history = (await client.get("/sessions/s/history"))["messages"]
        assert history[-1]["content"] == "word " * 20
