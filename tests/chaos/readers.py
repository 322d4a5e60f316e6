"""Readers that never read beside as many that do: what they cost in memory, and in the others' time to first token."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from statistics import median

import httpx

from tests.chaos.cluster import Cluster, Instance
from tests.chaos.facts import Report
from tests.chaos.faults.clients import connections, following
from tests.chaos.ide import SurvivingIde, events_of, http_client
from tests.ide import STREAM, user_message

SESSIONS = 20
STREAMS = 20
WORDS = 40
TRIES = 20
PAUSE_S = 0.5
"""A busy server refuses a message with 503; it is sent again after this pause."""
LONG_ANSWER = "x" * 200_000
MAX_MORE_MIB = 30
MAX_RATIO = 1.2
BLOCK_BYTES = 65_536


def own_bytes(instance: Instance) -> int:
    """The memory of a process that it shares with no file."""
    status = Path(f"/proc/{instance.pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


async def dead_beside_reading(db_url: str, readers: int, rounds: int, seed: int) -> Report:
    """So many readers of each kind follow streams; rounds with and without the dead ones take turns."""
    settings = {"max_streams_per_owner": 0, "max_runs_per_owner": 0}
    async with Cluster(db_url, 1, seed, **settings) as cluster, http_client() as client:
        [instance] = cluster.instances
        followed = [f"read-{number}" for number in range(SESSIONS)]
        ides = [SurvivingIde(cluster, client, session_id, seed) for session_id in followed]
        for ide in ides:
            await _answer(ide, [{"text": LONG_ANSWER}])
        more: list[int] = []
        first: dict[bool, list[float]] = {False: [], True: []}
        async with _reading(instance, followed, readers) as received:
            await _round(cluster, client, ides, instance, -1)  # what grows once has grown
            for number in range(rounds):
                alone, without = await _round(cluster, client, ides, instance, 2 * number)
                with contextlib.ExitStack() as stack:
                    for session_id in followed:
                        sent = following(session_id)
                        stack.enter_context(connections(instance.url, sent, readers // SESSIONS))
                    beside, with_dead = await _round(cluster, client, ides, instance, 2 * number + 1)
                first[False] += alone
                first[True] += beside
                more.append(with_dead - without)
            assert received() > readers * len(LONG_ANSWER), "the readers that read have read"
    ratio = median(first[True]) / median(first[False])
    figures = {
        "dead readers": readers,
        "reading readers": readers,
        "rounds of each kind": rounds,
        "memory for the dead readers MiB (max)": round(max(more) / 2**20, 1),
        "others' time to first token p50 ms, without": round(median(first[False]) * 1000, 1),
        "others' time to first token p50 ms, with": round(median(first[True]) * 1000, 1),
        "ratio": round(ratio, 2),
    }
    limits = {
        f"{readers} dead readers cost more than {MAX_MORE_MIB} MiB": max(more) > MAX_MORE_MIB * 2**20,
        f"the time to the first token is {ratio:.2f} times as long": ratio > MAX_RATIO,
    }
    broken = [told for told, is_broken in limits.items() if is_broken]
    return Report("Dead readers beside reading ones", seed, figures, broken)


async def _round(
    cluster: Cluster, client: httpx.AsyncClient, ides: list[SurvivingIde], instance: Instance, number: int
) -> tuple[list[float], int]:
    """The followed sessions speak, others ask: their times to the first token, and the most memory meanwhile."""
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, own_bytes(instance))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    speaking = [_answer(ide, [{"repeat": "word ", "times": WORDS, "delay": 0.05}]) for ide in ides]
    spoken = asyncio.gather(*speaking)
    others = [await _first_token(SurvivingIde(cluster, client, f"other-{number}-{n}", n)) for n in range(STREAMS)]
    await spoken
    watching.cancel()
    return others, most


async def _answer(ide: SurvivingIde, replies: list[dict[str, object]]) -> None:
    content = f"#script\n{json.dumps(replies)}\nSpeak."
    for _ in range(TRIES):
        status, events = await ide.post(user_message(content, agent_type="coder"))
        if status == 200:
            assert events[-1][1]["metadata"]["outcome"] == "completed", events[-1]
            return
        assert status == 503, f"{status} {ide.refusal}"
        await asyncio.sleep(PAUSE_S)
    raise AssertionError(f"{ide.session_id}: {ide.refusal}")


async def _first_token(ide: SurvivingIde) -> float:
    """How long a client waits for the first piece of its answer."""
    message = user_message('#script\n[{"text": "Hello to you."}]\nSpeak.', agent_type="coder")
    body = {"session_id": ide.session_id, "protocol_version": 2, "message": message}
    for _ in range(TRIES):
        began, took = time.monotonic(), None
        async with ide.client.stream("POST", f"{ide.cluster.any_url()}{STREAM}", json=body) as response:
            async for _number, chunk in events_of(response):
                if took is None and chunk["token"]:
                    took = time.monotonic() - began
        if took is not None:
            return took
        assert response.status_code == 503, f"{ide.session_id}: {response.status_code}, no text came"
        await asyncio.sleep(PAUSE_S)
    raise AssertionError(f"{ide.session_id}: refused {TRIES} times")


@contextlib.asynccontextmanager
async def _reading(instance: Instance, followed: list[str], count: int) -> AsyncIterator[Callable[[], int]]:
    """Readers that read what comes and forget it; gives how many bytes they have read."""
    received = 0

    async def read(session_id: str) -> None:
        nonlocal received
        where = httpx.URL(instance.url)
        reader, writer = await asyncio.open_connection(where.host, where.port)
        writer.write(following(session_id).encode())
        try:
            while block := await reader.read(BLOCK_BYTES):
                received += len(block)
        finally:
            writer.close()

    tasks = [asyncio.create_task(read(followed[number % len(followed)])) for number in range(count)]
    try:
        yield lambda: received
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
