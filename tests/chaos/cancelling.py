"""How long a cancel takes: at the instance that drives the run, at another one, idle and under load."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import httpx

from tests.chaos.cluster import Cluster
from tests.chaos.facts import Report, percentile
from tests.chaos.ide import SurvivingIde, events_of, http_client
from tests.ide import STREAM, Chunk, request_body, user_message
from tests.running import KEY

STREAMS = 100
TRIES = 20
PAUSE_S = 0.5
IDLE_LIMIT_S = 0.05
BUSY_LIMIT_S = 0.25
LONG = f"#script\n{json.dumps([{'repeat': 'word ', 'times': 3000, 'delay': 0.1}])}\nSpeak."


async def cancel_often(db_url: str, count: int, seed: int) -> Report:
    """Cancel `count` runs in each of four situations, over two instances."""
    took: dict[str, list[float]] = {}
    settings = {"max_runs_per_owner": 0, "max_streams_per_owner": 0}
    async with Cluster(db_url, 2, seed, **settings) as cluster, http_client() as client:
        one, other = (instance.url for instance in cluster.instances)
        headers = {"X-Internal-Auth": KEY}
        async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as canceller:
            took["at its instance, idle"] = await _cancel(client, canceller, one, one, count, "own")
            took["at the other instance, idle"] = await _cancel(client, canceller, one, other, count, "other")
            async with contextlib.AsyncExitStack() as stack:
                for number in range(STREAMS):
                    ide = SurvivingIde(cluster, client, f"load-{number}", number)
                    streaming = asyncio.create_task(_stream(client, (one, other)[number % 2], ide.session_id))
                    stack.callback(streaming.cancel)
                    await asyncio.sleep(0.02)
                under = f"under {STREAMS} streams"
                took[f"at its instance, {under}"] = await _cancel(client, canceller, one, one, count, "busy-own")
                took[f"at the other instance, {under}"] = await _cancel(
                    client, canceller, one, other, count, "busy-other"
                )
    limits = {where: BUSY_LIMIT_S if "streams" in where else IDLE_LIMIT_S for where in took}
    figures: dict[str, object] = {"cancels of each kind": count}
    for where, times in took.items():
        figures[f"{where}: the first, ms"] = round(times[0] * 1000, 1)
        figures[f"{where}: p50 ms"] = round(percentile(times, 0.5) * 1000, 1)
        figures[f"{where}: p95 ms (limit {limits[where] * 1000:.0f})"] = round(percentile(times, 0.95) * 1000, 1)
    broken = [
        f"a cancel {where} takes {percentile(times, 0.95) * 1000:.0f} ms (p95)"
        for where, times in took.items()
        if percentile(times, 0.95) > limits[where]
    ]
    return Report("Cancel", seed, figures, broken)


async def _cancel(
    client: httpx.AsyncClient, canceller: httpx.AsyncClient, asked: str, told: str, count: int, name: str
) -> list[float]:
    """Cancel runs one after another, each once its first words are there: how long until the session was free."""
    times: list[float] = []
    for number in range(count):
        session_id = f"cancel-{name}-{number}"
        has_words = asyncio.Event()
        streaming = asyncio.create_task(_stream(client, asked, session_id, has_words))
        async with asyncio.timeout(60):
            await has_words.wait()
        began = time.monotonic()
        response = await canceller.post(f"{told}/sessions/{session_id}/cancel")
        times.append(time.monotonic() - began)
        assert response.json()["cancelled"] is True, response.text
        chunks = await streaming
        assert chunks[-1]["metadata"]["outcome"] == "cancelled", chunks[-1]
    return times


async def _stream(
    client: httpx.AsyncClient, url: str, session_id: str, has_words: asyncio.Event | None = None
) -> list[Chunk]:
    """Ask for a long answer, again while the server is too busy to take it, and read it to its end."""
    body = request_body(user_message(LONG, agent_type="coder"), session_id)
    for _ in range(TRIES):
        async with client.stream("POST", f"{url}{STREAM}", json=body) as response:
            if response.status_code == 503:
                await asyncio.sleep(PAUSE_S)
                continue
            assert response.status_code == 200, await response.aread()
            chunks: list[Chunk] = []
            async for _number, chunk in events_of(response):
                chunks.append(chunk)
                if has_words is not None and chunk["token"]:
                    has_words.set()
            return chunks
    raise AssertionError(f"{session_id}: the server took the message {TRIES} times not")
