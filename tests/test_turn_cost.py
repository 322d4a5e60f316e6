"""What a turn costs PostgreSQL: statements, commits and WAL, read from the server itself, within fixed counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.performance.__main__ import postgresql
from benchmarks.performance.loads import CHAT, RESULT, TOOL
from benchmarks.performance.processes import Cost, Meter
from tests.ide import tool_result, user_message
from tests.runs.opened import Client, opened

TURNS = 10
MOST = {"chat": Cost(30, 8, 18_000, 0), "tool": Cost(64, 15, 34_000, 0)}
"""A turn of each kind, with the heartbeats that fall into it."""


async def chat(client: Client, session_id: str) -> None:
    status, chunks = await client.post(user_message(CHAT, agent_type="coder"), session_id)
    assert (status, chunks[-1]["type"]) == (200, "done")


async def tool(client: Client, session_id: str) -> None:
    _, chunks = await client.post(user_message(TOOL, agent_type="coder"), session_id)
    calls = [chunk["call_id"] for chunk in chunks if chunk["type"] == "tool_call"]
    status, chunks = await client.post(tool_result(calls[0], RESULT), session_id)
    assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed")


PLAY: dict[str, Callable[[Client, str], Awaitable[None]]] = {"chat": chat, "tool": tool}


@pytest.mark.parametrize("kind", MOST)
def test_a_turn_costs_no_more_than_this(kind: str) -> None:
    async def run(db_url: str, meter: Meter) -> Cost:
        async with opened(db_url) as (_, client):
            await PLAY[kind](client, "warm-up")
            before = meter.read()
            for number in range(TURNS):
                await PLAY[kind](client, f"s{number}")
            return meter.read() - before

    with postgresql() as (server, meter), server.database() as db_url:
        meter.log_statements(on=True)
        spent, most = asyncio.run(run(db_url, meter)), MOST[kind]
    each = [value / TURNS for value in (spent.statements, spent.commits, spent.wal_bytes)]
    assert 0 < each[0] <= most.statements, f"statements: {each}"
    assert 0 < each[1] <= most.commits, f"commits: {each}"
    assert 0 < each[2] <= most.wal_bytes, f"WAL bytes: {each}"
