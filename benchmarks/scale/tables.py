"""What requests and housekeeping cost PostgreSQL with few and with many sessions in the tables."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from benchmarks.performance.processes import Meter
from benchmarks.scale.filling import fill
from runs.engine import Engine
from runs.keep import housekeeping
from tests.databases import PostgresServer
from tests.ide import STREAM, request_body, user_message
from tests.runs.opened import Client, opened

Figures = dict[str, Any]
FEW = 200
OWNER = {"X-End-User": "owner0"}
STATISTICS_S = 11.0
"""An idle connection of PostgreSQL reports what it has read after ten seconds."""
BLOCKS = """select coalesce(sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0)
                     + coalesce(toast_blks_read + toast_blks_hit, 0)), 0) from pg_statio_user_tables"""
OLD = "2020-01-01T00:00:00.000000+00:00"


class Probe:
    """One filled database and the application on it."""

    def __init__(self, engine: Engine, client: Client, connection: psycopg.Connection[Any]) -> None:
        self.engine, self.client, self.connection = engine, client, connection
        self._next = 1

    def session(self) -> str:
        """A session that was not used yet, is not deleted and waits for nothing."""
        self._next += 1
        while self._next % 4 == 0 or self._next % 10 == 9:
            self._next += 1
        return f"s{self._next:07}"

    async def get(self, path: str) -> None:
        """Read a resource of the owner."""
        (await self.client.http.get(path, headers=OWNER)).raise_for_status()

    async def turn(self) -> None:
        """Claim a session and play a turn in it."""
        body = request_body(user_message("hello", agent_type="coder"), self.session())
        answer: httpx.Response = await self.client.http.post(STREAM, json=body, headers=OWNER)
        assert answer.status_code == 200, answer.text
        assert '"completed"' in answer.text, answer.text

    async def take_over(self) -> None:
        """Leave a run of a process that is gone, and wait until it was taken over and has ended."""
        sql = """insert into runs (id, session_id, request_id, input, status, worker, lease_until, attempt,
                                   protocol_version, cancel_requested, created_at, updated_at)
                 values (%(id)s, %(id)s, 'q', '{}', 'running', 77, 0, 1, 2, 1, now()::text, now()::text)"""
        run_id = self.session()
        self.connection.execute(sql, {"id": run_id})
        for _ in range(600):
            if not self._count("select count(*) from runs where status = 'running'"):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"the run {run_id} was not taken over")

    async def sweep(self) -> None:
        """Sweep ten idle sessions."""
        for _ in range(10):
            self.connection.execute("update sessions set last_activity = %s where id = %s", (OLD, self.session()))
        assert await housekeeping.sweep_idle(self.engine) == 10

    async def purge(self) -> None:
        """Remove two sessions that were deleted long ago, with all their rows."""
        for _ in range(2):
            self.connection.execute("update sessions set deleted_at = %s where id = %s", (OLD, self.session()))
        assert await housekeeping.purge_deleted(self.engine) == 2

    async def expire(self) -> None:
        """Look for approvals that have run out."""
        await housekeeping.expire_approvals(self.engine)

    async def idle(self) -> None:
        """Let heartbeats pass."""
        await asyncio.sleep(0.1)

    def _count(self, sql: str) -> int:
        row = self.connection.execute(sql.encode()).fetchone()
        assert row is not None, "count gives a row"
        return int(row[0])

    def blocks(self) -> int:
        """The blocks of tables and indexes that were read so far."""
        return self._count(BLOCKS)


def operations(probe: Probe) -> dict[str, tuple[int, Callable[[], Awaitable[None]]]]:
    """What is measured, and how often it is repeated: together fewer sessions than FEW."""
    session = "/sessions/s0000001"
    return {
        "list: GET /sessions": (60, lambda: probe.get("/sessions?limit=50")),
        "list: GET /pending": (60, lambda: probe.get("/pending")),
        "history: GET /sessions/{id}/history": (60, lambda: probe.get(f"{session}/history")),
        "follow: GET /sessions/{id}/stream": (60, lambda: probe.get(f"{session}/stream?follow=false")),
        "claim: a turn": (30, probe.turn),
        "take-over of a run": (10, probe.take_over),
        "sweep of 10 sessions": (2, probe.sweep),
        "purge of 2 sessions": (4, probe.purge),
        "expiry of approvals": (60, probe.expire),
    }


async def measure(db_url: str, meter: Meter) -> dict[str, Figures]:
    """Blocks and CPU of PostgreSQL for one of each operation, without what heartbeats take."""
    found: dict[str, Figures] = {}
    with psycopg.connect(db_url, autocommit=True) as connection:
        async with opened(db_url) as (engine, client):
            probe = Probe(engine, client, connection)
            for _, operation in operations(probe).values():
                await operation()  # caches and prepared statements, and what filling has not reported yet
            await asyncio.sleep(2 * STATISTICS_S)
            idle_blocks, idle_cpu_s, idle_s = await _spent(probe, meter, 1, probe.idle)
            for name, (count, operation) in operations(probe).items():
                blocks, cpu_s, wall_s = await _spent(probe, meter, count, operation)
                found[name] = {
                    "blocks": max(1.0, (blocks - idle_blocks * wall_s / idle_s) / count),
                    "cpu_ms": max(0.0, 1000 * (cpu_s - idle_cpu_s * wall_s / idle_s) / count),
                }
    return found


async def _spent(
    probe: Probe, meter: Meter, count: int, operation: Callable[[], Awaitable[None]]
) -> tuple[float, float, float]:
    began, blocks, cpu_s = time.monotonic(), probe.blocks(), meter.cpu_s()
    for _ in range(count):
        await operation()
    await asyncio.sleep(STATISTICS_S)
    return probe.blocks() - blocks, meter.cpu_s() - cpu_s, time.monotonic() - began


def compare(server: PostgresServer, meter: Meter, sessions: int, events: int) -> Figures:
    """Measure few sessions, then many, each with as many rows of its own."""
    now = datetime.now(UTC)
    moments = now.isoformat(timespec="microseconds"), (now + timedelta(days=1)).isoformat(timespec="microseconds")
    found: Figures = {"sessions": sessions, "events": sessions * events, "few": FEW}
    for name, number in (("few_tables", FEW), ("many_tables", sessions)):
        with server.database() as db_url:
            began = time.monotonic()
            with psycopg.connect(db_url, autocommit=True) as connection:
                fill(connection, number, events, *moments)
                row = connection.execute("select pg_database_size(current_database())").fetchone()
            assert row is not None, "the size is known"
            found[f"{name}_mib"], found[f"{name}_fill_s"] = row[0] // 2**20, round(time.monotonic() - began)
            print(f"{number} sessions: {found[f'{name}_mib']} MiB in {found[f'{name}_fill_s']} s", flush=True)
            found[name] = asyncio.run(measure(db_url, meter))
    return found
