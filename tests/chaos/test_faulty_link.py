"""Two servers, one of them on a link to PostgreSQL that is slow, narrow or loses what goes one way."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import psycopg
import pytest

from tests.chaos.cluster import Cluster, Instance
from tests.chaos.facts import check_history, check_reader, check_view
from tests.chaos.faulty_link import Fault, FaultyLink
from tests.chaos.ide import SurvivingIde, http_client
from tests.chaos.kills import TOOL_CALLS_A_TURN, script
from tests.databases import PostgresServer

SESSIONS = 3
FAULTS = (
    Fault("answers", delay_s=0.2),
    Fault("requests", delay_s=0.2),
    Fault("answers", bytes_a_second=8_000),
    Fault("requests", is_lost=True),
    Fault("answers", is_lost=True),
)


@pytest.mark.timeout(300)
def test_a_faulty_link_to_the_database_loses_and_doubles_nothing(postgres: PostgresServer) -> None:
    with postgres.database() as db_url:
        asyncio.run(_live_with_faults(db_url, seed=14))


async def _live_with_faults(db_url: str, seed: int) -> None:
    link, chance = FaultyLink(db_url), random.Random(seed)
    cluster = Cluster(db_url, 1, seed)
    async with link.listening() as behind_link, http_client() as client:
        cluster.instances.append(Instance(behind_link))
        async with cluster:
            ides = [SurvivingIde(cluster, client, f"link-{n}", seed + n) for n in range(SESSIONS)]
            stopped = asyncio.Event()
            work = [asyncio.create_task(_work(db_url, ide, stopped)) for ide in ides]
            for fault in FAULTS:
                async with link.fault(fault):
                    await asyncio.sleep(chance.uniform(0.8, 2.0))
                await asyncio.sleep(0.5)
            stopped.set()
            turns = await asyncio.gather(*work)
            assert all(turns), "every session had a turn"
            async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
                await _check(connection, ides)


async def _work(db_url: str, ide: SurvivingIde, stopped: asyncio.Event) -> int:
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        turns = 0
        while not stopped.is_set():
            assert await ide.turn(connection, script(turns)) == "completed"
            turns += 1
        return turns


async def _check(connection: psycopg.AsyncConnection[Any], ides: list[SurvivingIde]) -> None:
    for ide in ides:
        ide.seen.clear()
        reading = asyncio.create_task(ide.read())
        try:
            await check_reader(connection, ide)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        check_view(ide.session_id, ide.seen)
        history = await check_history(connection, ide.session_id)
        asked = sum(role == "user" for role, _ in history)
        offered = [chunk["call_id"] for _, chunk in ide.seen if chunk["type"] == "tool_call"]
        assert len(offered) == len(set(offered)) == asked * TOOL_CALLS_A_TURN
    # One fault costs a run at most one attempt, and so at most one repeated model call.
    row = await (await connection.execute("select max(tries) from runs")).fetchone()
    assert row is not None
    assert row[0] <= len(FAULTS)
