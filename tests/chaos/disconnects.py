"""Readers that are cut off at any moment and read on with Last-Event-ID, each time at another instance."""

from __future__ import annotations

import asyncio
import json

import psycopg

from tests.chaos.cluster import Cluster
from tests.chaos.facts import Report, check_reader, check_view
from tests.chaos.ide import SurvivingIde, events_of, http_client

READERS = 10


async def disconnect_at_random(db_url: str, count: int, seed: int) -> Report:
    """Cut readers off `count` times in all while their sessions stream."""
    async with Cluster(db_url, 2, seed, max_messages=1_000_000) as cluster, http_client() as client:
        ides = [SurvivingIde(cluster, client, f"cut-{seed}-{n}", seed * 1000 + n) for n in range(READERS)]
        cuts = sum(await asyncio.gather(*(_follow(db_url, ide, count // READERS) for ide in ides)))
        assert cuts >= count, f"{cuts} cuts of {count}"
        events = 0
        async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
            for ide in ides:
                events += await check_reader(connection, ide)
                check_view(ide.session_id, ide.seen)
    figures = {"disconnects": cuts, "events": events, "events lost": 0, "events doubled": 0}
    return Report("Forced disconnects", seed, figures)


async def _follow(db_url: str, ide: SurvivingIde, cuts_wanted: int) -> int:
    """Read turn after turn, cut off after a few events each time: how often."""
    cuts = turns = 0
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        while cuts < cuts_wanted:
            replies = [{"repeat": f"word{turns} ", "times": 60, "delay": 0.02}]
            asking = asyncio.create_task(ide.ask(connection, f"#script\n{json.dumps(replies)}\nTurn {turns}."))
            while not asking.done():
                cuts += await _read_some(ide, ide.random.randint(1, 6))
            await asking
            turns += 1
            await ide.settled(connection)
    reading = asyncio.create_task(ide.read())
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        await check_reader(connection, ide)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return cuts


async def _read_some(ide: SurvivingIde, wanted: int) -> int:
    """Read that many events, then hang up without a word: 1 when it was a cut, 0 when there was nothing to read."""
    last = ide.seen[-1][0] if ide.seen else 0
    url = f"{ide.cluster.any_url()}/sessions/{ide.session_id}/stream"
    try:
        async with (
            asyncio.timeout(1),
            ide.client.stream("GET", url, headers={"Last-Event-ID": str(last)}) as response,
        ):
            if response.status_code != 200:
                await asyncio.sleep(0.02)
                return 0
            async for item in events_of(response):
                ide.seen.append(item)
                wanted -= 1
                if not wanted:
                    return 1
    except TimeoutError:
        return 1
    return 0
