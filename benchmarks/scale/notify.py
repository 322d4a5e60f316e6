"""Events a second that one, two and four writers append, each append with its notification."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from typing import Any

import psycopg

from benchmarks.performance.processes import Meter
from runs.keep.listener import CHANNEL
from storage.connect import open_database
from storage.tables import events
from storage.tables.events import Addition
from storage.tables.runs import Run
from tests.databases import PostgresServer

Figures = dict[str, Any]
SECONDS = 5.0
LISTENERS = 3
CHUNK = '{"type":"assistant_message","token":"a few words ","is_final":false}'
CHUNKS = 4
"""What a run of ten tokens a second has to say after GATHER_S."""
SESSIONS = (1, 25, 100)


def compare(server: PostgresServer, meter: Meter) -> Figures:
    """Measure every number of writers with every size of an append."""
    with server.database() as db_url:
        return {"rows": [_measure(db_url, meter, writers, n) for n in SESSIONS for writers in (1, 2, 4)]}


def _measure(db_url: str, meter: Meter, writers: int, sessions: int) -> Figures:
    prefixes = [f"{writers}-{sessions}-{number}" for number in range(writers)]
    with psycopg.connect(db_url, autocommit=True) as connection:
        for prefix in prefixes:
            _prepare(connection, prefix, sessions)
    over = threading.Event()
    listening = [threading.Thread(target=_listen, args=(db_url, over)) for _ in range(LISTENERS)]
    for thread in listening:
        thread.start()
    spawning = multiprocessing.get_context("spawn")
    ready = spawning.Barrier(writers + 1)
    counts = spawning.Queue()
    processes = [spawning.Process(target=_write, args=(db_url, p, sessions, ready, counts)) for p in prefixes]
    for process in processes:
        process.start()
    ready.wait(60)
    cpu_s = meter.cpu_s()
    appends = sum(counts.get(timeout=60) for _ in processes)
    cpu_s = meter.cpu_s() - cpu_s
    for process in processes:
        process.join(60)
    over.set()
    for thread in listening:
        thread.join(60)
    events_each = sessions * CHUNKS
    return {
        "writers": writers,
        "sessions": sessions,
        "appends_s": appends / SECONDS,
        "events_s": appends * events_each / SECONDS,
        "cpu_ms": 1_000_000 * cpu_s / (appends * events_each),
    }


def _prepare(connection: psycopg.Connection[Any], prefix: str, sessions: int) -> None:
    given = {"prefix": prefix, "sessions": sessions}
    connection.execute(
        "insert into sessions (id, owner, created_at, last_activity)"
        " select %(prefix)s || '-' || n, '', '2026', '2026' from generate_series(0, %(sessions)s - 1) n",
        given,
    )
    connection.execute(
        "insert into runs (id, session_id, request_id, input, status, worker, lease_until, attempt, protocol_version,"
        " created_at, updated_at) select %(prefix)s || '-' || n, %(prefix)s || '-' || n, 'q', '{}', 'running', 1, 0,"
        " 1, 2, '2026', '2026' from generate_series(0, %(sessions)s - 1) n",
        given,
    )


def _listen(db_url: str, over: threading.Event) -> None:
    with psycopg.connect(db_url, autocommit=True) as connection:
        connection.execute(f"listen {CHANNEL}".encode())
        while not over.is_set():
            for _ in connection.notifies(timeout=0.2):
                pass


def _write(db_url: str, prefix: str, sessions: int, ready: Any, counts: Any) -> None:
    counts.put(asyncio.run(_append(db_url, prefix, sessions, ready)))


async def _append(db_url: str, prefix: str, sessions: int, ready: Any) -> int:
    """Append to all sessions of this writer again and again: how many appends."""
    runs = [
        Run(
            id=f"{prefix}-{n}", session_id=f"{prefix}-{n}", request_id="q", input={}, status="running", worker=1,
            attempt=1, protocol_version=2, cancel_requested=False, error=None,
        )
        for n in range(sessions)
    ]  # fmt: skip
    database = await open_database(db_url)
    try:
        async with database.log_transaction() as tx:
            await events.append_batch(tx, [Addition(run, 0, [CHUNK] * CHUNKS) for run in runs])
        await asyncio.to_thread(ready.wait, 60)
        appends, deadline = 0, time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            appends += 1
            async with database.log_transaction() as tx:
                found = await events.append_batch(tx, [Addition(r, appends * CHUNKS, [CHUNK] * CHUNKS) for r in runs])
            assert all(found), "an append was left out"
        return appends
    finally:
        await database.close()
