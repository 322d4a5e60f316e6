"""A process that is told to end: what can end ends, the rest goes on at another instance at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from runs.keep.worker import Worker
from storage.tables import runs
from tests.databases import PostgresServer
from tests.runs.opened import Client, opened
from tests.runs.test_cancel import log_of, until


async def started(client: Client, replies: list[dict[str, Any]], sign: str, agent: str = "coder") -> asyncio.Task[Any]:
    """Start a run and wait until the sign of it is in the log."""
    asking = asyncio.create_task(client.play(replies, agent=agent))

    async def is_seen() -> bool:
        return sign in await log_of(client)

    await until(is_seen)
    return asking


async def until_completed(client: Client) -> list[dict[str, Any]]:
    async def is_done() -> bool:
        return '"outcome":"completed"' in await log_of(client)

    await until(is_done)
    return [json.loads(line[6:]) for line in (await log_of(client)).split("\n") if line.startswith("data: ")]


async def test_a_run_that_ends_in_time_ends_here(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        asking = await started(client, [{"repeat": "word ", "times": 20, "delay": 0.02}], "word")
        await Worker(engine).drain(within_s=4)
        _, chunks = await asking
        assert chunks[-1]["metadata"]["outcome"] == "completed"


async def test_a_run_is_handed_over_at_its_next_boundary(postgres: PostgresServer) -> None:
    step = {"tool": "calculator", "args": {"expr": "1 + 1"}, "text": "step", "sleep": 0.2}
    others = [{**step, "args": {"expr": f"{n} + 1"}} for n in range(2, 8)]
    with postgres.database() as url:
        alone = {"multi_agent_mode": False}
        async with opened(url, **alone) as (one, client), opened(url, **alone) as (_, other):
            replies: list[dict[str, Any]] = [step, *others, {"text": "All is computed."}]
            asking = await started(client, replies, "step", agent="universal")
            await Worker(one).drain(within_s=0.8)
            assert not one.tasks
            chunks = await until_completed(other)
            await asking
            assert "restarted" not in str(chunks), "what was said before a boundary stays valid"
            texts = [c["content"] for c in chunks if c["type"] == "assistant_message" and c["is_final"]]
            assert texts == ["step"] * 7 + ["All is computed."]
            history = (await other.get("/sessions/s/history"))["messages"]
            assert [m["role"] for m in history] == ["user", *["assistant", "tool"] * 7, "assistant"]


async def test_a_run_that_reaches_no_boundary_is_handed_over_as_it_is(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with opened(url) as (one, client), opened(url) as (second, other):
            asking = await started(client, [{"repeat": "word ", "times": 60, "delay": 0.03}], "word")
            await Worker(one).drain(within_s=0.4)

            async def is_taken() -> bool:
                async with second.database.autocommit() as tx:
                    run = await runs.active(tx, "s")
                return run is not None and run.worker == second.worker

            await until(is_taken)
            chunks = await until_completed(other)
            await asking
            assert [c["metadata"]["status"] for c in chunks if c["type"] == "status"] == ["restarted"]
            final = [c for c in chunks if c["type"] == "assistant_message" and c["is_final"]]
            assert [c["content"] for c in final] == ["word " * 60]
