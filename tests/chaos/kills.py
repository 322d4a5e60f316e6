"""SIGKILL at random points of runs with tool calls and approvals, while others take over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import psycopg

from tests.chaos.cluster import Cluster, Instance
from tests.chaos.facts import Report, check_history, check_reader, check_view, deadlocks, orphans, percentile
from tests.chaos.ide import SurvivingIde, http_client

SESSIONS = 4
INSTANCES = 3
TOOL_CALLS_A_TURN = 3
TAKE_OVER_CHECKS = 3000
"""A run that nobody has taken over after so many looks is lost; the soak measures how long it takes."""


def script(turn: int) -> str:
    """A turn of four replies with a local tool, an allowed call, an approval and a streamed answer."""
    look = {"tool": "read_file", "args": {"path": f"a{turn}.py"}}
    write = {"tool": "write_file", "args": {"path": "b.py", "content": str(turn)}}
    replies = [
        {"text": f"I compute {turn}.", "tool": "calculator", "args": {"expr": f"{turn} + 1"}, "sleep": 0.05},
        {"text": f"I look at {turn}.", **look},
        {"repeat": "thinking ", "times": 15, "delay": 0.01, **write},
        {"sleep": 0.05, **look},
        {"text": f"Turn {turn} is done: ", "repeat": "word ", "times": 30, "delay": 0.01},
    ]
    return f"#script\n{json.dumps(replies)}\nTurn {turn}."


async def kill_at_random(db_url: str, count: int, seed: int, sessions: int = SESSIONS) -> Report:
    """Kill `count` times; every turn must end as if nothing had happened."""
    # Local tools are the universal agent's; on a slow machine one run may meet any number of the kills.
    settings = {"max_messages": 1_000_000, "multi_agent_mode": False, "run_max_attempts": min(50, count + 1)}
    async with Cluster(db_url, INSTANCES, seed, **settings) as cluster, http_client() as client:
        stopped = asyncio.Event()
        ides = [
            SurvivingIde(cluster, client, f"kill-{seed}-{n}", seed * 1000 + n, agent="universal")
            for n in range(sessions)
        ]
        work = [asyncio.create_task(_work(db_url, ide, stopped)) for ide in ides]
        killing = asyncio.create_task(_kill(db_url, cluster, count))
        done, _ = await asyncio.wait([*work, killing], return_when=asyncio.FIRST_COMPLETED)
        if killing not in done:
            for task in done:
                task.result()
        taken_after, orphaned = await killing
        stopped.set()
        turns = sum(await asyncio.gather(*work))
        events = await _check(db_url, ides)
    figures = {
        "kills": count,
        "turns": turns,
        "orphaned runs": orphaned,
        "events": events,
        "events lost": 0,
        "events doubled": 0,
        "sessions stuck": 0,
        "tools offered twice": 0,
        "take-over p50 s": round(percentile(taken_after, 0.5), 2),
        "take-over p95 s": round(percentile(taken_after, 0.95), 2),
        "take-over max s": round(max(taken_after, default=0.0), 2),
    }
    return Report("SIGKILL at random points", seed, figures)


async def _work(db_url: str, ide: SurvivingIde, stopped: asyncio.Event) -> int:
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        reading: asyncio.Task[Any] | None = None
        turns = 0
        try:
            while not stopped.is_set():
                status = await ide.turn(connection, script(turns))
                assert status == "completed", f"{ide.session_id}: turn {turns} is {status}"
                turns += 1
                reading = reading or asyncio.create_task(ide.read())
            for _ in range(400):
                row = await (await connection.execute(
                    "select last_seq from sessions where id = %s", (ide.session_id,))
                ).fetchone()  # fmt: skip
                if row is not None and ide.seen and ide.seen[-1][0] == row[0]:
                    break
                await asyncio.sleep(0.05)
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        return turns


async def _kill(db_url: str, cluster: Cluster, count: int) -> tuple[list[float], int]:
    taken_after: list[float] = []
    orphaned = 0
    restarts: list[asyncio.Task[None]] = []
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        for _ in range(count):
            await asyncio.sleep(cluster.random.uniform(0.05, 0.6))
            victim = await _victim(cluster)
            victim.kill()
            killed_at = time.monotonic()
            await victim.ended()
            restarts.append(asyncio.create_task(victim.start()))
            found = await orphans_of_killed(connection)
            orphaned += len(found)
            taken_after += await until_taken_over(connection, found, killed_at)
        await asyncio.gather(*restarts)
    return taken_after, orphaned


async def until_taken_over(
    connection: psycopg.AsyncConnection[Any], found: dict[str, int], killed_at: float
) -> list[float]:
    """Wait until every run that was found has a next attempt: how long after the kill, each."""
    taken_after: list[float] = []
    for _ in range(TAKE_OVER_CHECKS):
        now = await orphans(connection)
        for run_id in [run_id for run_id, attempt in found.items() if now.get(run_id) != attempt]:
            taken_after.append(time.monotonic() - killed_at)
            del found[run_id]
        if not found:
            return taken_after
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody took over {found}")


async def orphans_of_killed(connection: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    """The runs of the killed process, once PostgreSQL has noticed that it is gone."""
    found: dict[str, int] = {}
    for _ in range(5):
        found |= await orphans(connection)
        await asyncio.sleep(0.01)
    return found


async def _victim(cluster: Cluster) -> Instance:
    """An instance that serves while another one does too."""
    while True:
        serving = [instance for instance in cluster.instances if instance.is_serving]
        if len(serving) >= 2:
            return cluster.random.choice(serving)
        await asyncio.sleep(0.02)


async def _check(db_url: str, ides: list[SurvivingIde]) -> int:
    events = 0
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        for ide in ides:
            with contextlib.suppress(asyncio.CancelledError):
                events += await check_reader(connection, ide)
            check_view(ide.session_id, ide.seen)
            history = await check_history(connection, ide.session_id)
            asked = sum(role == "user" for role, _ in history)
            tools = sum(chunk["type"] == "tool_call" for _, chunk in ide.seen)
            assert tools == asked * TOOL_CALLS_A_TURN, f"{ide.session_id}: {tools} calls offered in {asked} turns"
            assert await deadlocks(connection) == 0
            answers = [content for role, content in history if role == "assistant" and content.startswith("Turn ")]
            assert len(answers) == asked, f"{ide.session_id}: {len(answers)} answers to {asked} messages"
    return events
