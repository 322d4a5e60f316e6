"""One instance after the other is restarted by SIGTERM, under load, as a deployment does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack
from typing import Any

import psycopg

from storage.schema import TABLE_LOCK_MS, past_locks
from tests.chaos.cluster import Cluster
from tests.chaos.facts import Report, check_history, check_reader, check_view
from tests.chaos.ide import SurvivingIde, http_client
from tests.chaos.kills import TOOL_CALLS_A_TURN, script

SESSIONS = 6
Proxy = Callable[[list[str]], AbstractContextManager[str]]
"""Runs a proxy in front of these servers: its address."""

NEXT_REVISION = (
    "alter table runs add column made_up text not null default ''",
    "alter table messages add column made_up integer",
    "create table made_up (id text primary key, session_id text references sessions on delete cascade)",
    "create index made_up_runs on runs (made_up)",
    "update alembic_version set version_num = '9998'",
)
"""A made-up revision of the release to come, as additive as real ones are."""


async def restart_in_turn(
    db_url: str, count: int, seed: int, *, migrates: bool = False, in_front: Proxy | None = None
) -> Report:
    """Restart `count` times; every turn must end as if nothing had happened.

    `migrates`: the next release brings its schema before the first restart, while both instances work.
    `in_front`: clients reach the instances through this proxy.
    """
    settings = {"max_messages": 1_000_000, "multi_agent_mode": False}  # local tools are the universal agent's
    async with Cluster(db_url, 2, seed, **settings) as cluster, http_client() as client, AsyncExitStack() as stack:
        if in_front is not None:
            cluster.in_front = stack.enter_context(in_front([instance.url for instance in cluster.instances]))
        stopped = asyncio.Event()
        ides = [
            SurvivingIde(cluster, client, f"roll-{seed}-{n}", seed * 1000 + n, agent="universal")
            for n in range(SESSIONS)
        ]
        work = [asyncio.create_task(_work(db_url, ide, stopped)) for ide in ides]
        slowest = 0.0
        for number in range(count):
            await asyncio.sleep(cluster.random.uniform(0.2, 1.0))
            if migrates and number == 0:
                await asyncio.to_thread(_migrate_to_the_next, db_url)
            slowest = max(slowest, await _restart(cluster, number % 2))
            for task in work:
                if task.done():
                    task.result()
        stopped.set()
        turns = sum(await asyncio.gather(*work))
        events, restarted = await _check(db_url, ides)
    figures = {
        "restarts": count,
        "turns": turns,
        "lost runs": 0,
        "events": events,
        "events lost": 0,
        "events doubled": 0,
        "texts restarted": restarted,
        "requests repeated by a client": sum(ide.reconnects for ide in ides),
        "slowest end of a process s": round(slowest, 2),
    }
    return Report("Rolling restarts", seed, figures)


def _migrate_to_the_next(db_url: str) -> None:
    def migration() -> None:
        with psycopg.connect(db_url) as connection:
            connection.execute(f"set local lock_timeout = {TABLE_LOCK_MS}")
            for statement in NEXT_REVISION:
                connection.execute(statement)

    past_locks(migration)


async def _restart(cluster: Cluster, index: int) -> float:
    instance = cluster.instances[index]
    loop = asyncio.get_running_loop()
    began = loop.time()
    instance.terminate()
    status = await instance.ended()
    assert status in (0, -15), f"the server ended with {status}"
    took = loop.time() - began
    await instance.start()
    return took


async def _work(db_url: str, ide: SurvivingIde, stopped: asyncio.Event) -> int:
    turns = 0
    reading: asyncio.Task[Any] | None = None
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        try:
            while not stopped.is_set():
                status = await ide.turn(connection, script(turns))
                assert status == "completed", f"{ide.session_id}: turn {turns} is {status}"
                turns += 1
                reading = reading or asyncio.create_task(ide.read())
            if reading is not None:
                await check_reader(connection, ide)
        finally:
            if reading is not None:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
    return turns


async def _check(db_url: str, ides: list[SurvivingIde]) -> tuple[int, int]:
    events = restarted = 0
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        for ide in ides:
            events += await check_reader(connection, ide)
            check_view(ide.session_id, ide.seen)
            history = await check_history(connection, ide.session_id)
            asked = sum(role == "user" for role, _ in history)
            chunks = [chunk for _, chunk in ide.seen]
            assert sum(chunk["type"] == "tool_call" for chunk in chunks) == asked * TOOL_CALLS_A_TURN
            restarted += sum((chunk["metadata"] or {}).get("status") == "restarted" for chunk in chunks)
    return events, restarted
