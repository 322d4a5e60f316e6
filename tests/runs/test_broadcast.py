"""Readers: from memory, from the table, after gaps, past retention, and when they are slow."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from runs.log.broadcast import RECENT_EVENTS, Feed
from storage.tables import events, sessions
from storage.tables.events import Event
from tests.databases import PostgresServer
from tests.runs.opened import opened
from wire.chunks import pack
from wire.protocol import AssistantMessage


def event(seq: int) -> Event:
    return Event(seq, "r", pack(AssistantMessage(token=str(seq))))


def seqs(found: list[Event] | None) -> list[int] | None:
    return None if found is None else [e.seq for e in found]


def test_a_reader_is_served_from_memory_while_the_feed_holds_what_it_wants() -> None:
    feed = Feed()
    assert feed.after(0) is None
    feed.add([event(4), event(5)])
    assert seqs(feed.after(3)) == [4, 5]
    assert seqs(feed.after(5)) == []
    assert feed.after(2) is None, "3 is not in the feed"


def test_what_another_process_wrote_sends_readers_to_the_table() -> None:
    feed = Feed()
    feed.add([event(4)])
    change = feed.next_change()
    feed.note(6)
    assert change.is_set()
    assert feed.after(4) is None
    feed.add([event(7)])
    assert feed.after(4) is None
    assert seqs(feed.after(6)) == [7]


def test_a_notification_of_what_is_known_wakes_nobody() -> None:
    feed = Feed()
    feed.add([event(1), event(2)])
    change = feed.next_change()
    feed.note(2)
    assert not change.is_set()


def test_events_that_are_published_out_of_order_are_not_shown_out_of_order() -> None:
    feed = Feed()
    feed.add([event(1)])
    feed.add([event(3)])
    feed.add([event(2)])
    assert feed.after(1) is None
    assert seqs(feed.after(2)) == [3]


def test_the_feed_is_bounded() -> None:
    feed = Feed()
    feed.add([event(n) for n in range(1, 10 * RECENT_EVENTS)])
    found = feed.after(9 * RECENT_EVENTS - 1)
    assert found is not None
    assert len(found) == RECENT_EVENTS
    assert feed.after(1) is None


async def _write(database: Any, count: int, session_id: str = "s") -> list[Event]:
    async with database.transaction() as tx:
        await sessions.create(tx, session_id, "")
        chunks = [pack(AssistantMessage(token=str(n))) for n in range(count)]
        return await events.append(tx, session_id, "r", chunks)


async def test_a_reader_past_retention_is_told_to_resync(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        await _write(engine.database, 30)
        async with engine.database.autocommit() as tx:
            assert await events.trim(tx, keep=10) == ["s"]
        response = await client.http.get("/sessions/s/stream?follow=false&after=5")
        told = [json.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: ")]
        assert told[0]["metadata"] == {"status": "resync", "oldest": 21}
        assert len(told) == 11
        assert response.text.startswith("id: 20\n"), "who reads on after the resync begins where the log does"
        response = await client.http.get("/sessions/s/stream?follow=false&after=20")
        assert "resync" not in response.text


async def test_a_slow_reader_gets_everything_and_holds_one_batch(db_url: str) -> None:
    async with opened(db_url) as (engine, _):
        await _write(engine.database, 1)
        seen: list[int] = []
        async for found in engine.broadcast.follow("s", 0):
            seen.append(found.seq)
            if len(seen) == 1:
                engine.broadcast.publish("s", await _write(engine.database, 4 * RECENT_EVENTS))
            if len(seen) == 1 + 4 * RECENT_EVENTS:
                break
        assert seen == list(range(1, 4 * RECENT_EVENTS + 2))


async def test_a_reader_is_sent_what_another_instance_writes(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with opened(url) as (one, _), opened(url) as (other, _):
            one.broadcast.publish("s", await _write(one.database, 2))
            seen: list[int] = []

            async def read() -> None:
                async for found in other.broadcast.follow("s", 0):
                    seen.append(found.seq)
                    if len(seen) == 6:
                        return

            reading = asyncio.create_task(read())
            other.broadcast.publish("s", await _write(other.database, 2))
            await _write(one.database, 2)
            await asyncio.wait_for(reading, timeout=3)
            assert seen == [1, 2, 3, 4, 5, 6]


async def test_a_stream_ends_with_its_session_and_with_its_process(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        for end in ("delete", "close"):
            await _write(engine.database, 1, end)

            async def read(session_id: str = end) -> int:
                return len([found async for found in engine.broadcast.follow(session_id, 0)])

            reading = asyncio.create_task(read())
            await asyncio.sleep(0)
            if end == "delete":
                assert (await client.http.delete("/sessions/delete?hard=true")).status_code in (200, 404)
                async with engine.database.transaction() as tx:
                    await sessions.hard_delete(tx, end)
                engine.broadcast.invalidate(end)
            else:
                engine.broadcast.close()
            assert await asyncio.wait_for(reading, timeout=3) <= 1
