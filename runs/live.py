"""The bell of this process: who follows a session learns at once that its log has grown."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from storage import events
from storage.database import Database
from storage.events import Event

RING = 512
"""Events kept in memory per followed session; who is further behind reads the table."""
FALLBACK_POLL_S = 5.0


class Feed:
    """What this process knows of the newest events of one session."""

    def __init__(self) -> None:
        self.followers = 0
        self._ring: deque[Event] = deque(maxlen=RING)
        self._changed = asyncio.Event()

    def add(self, new: Sequence[Event]) -> None:
        """Take events of this process; a hole before them empties the ring, so that readers go to the table."""
        for event in new:
            if self._ring and event.seq <= self._ring[-1].seq:
                continue
            if self._ring and event.seq != self._ring[-1].seq + 1:
                self._ring.clear()
            self._ring.append(event)
        self.ring_bell()

    def ring_bell(self) -> None:
        """Wake everybody who waits."""
        self._changed.set()
        self._changed = asyncio.Event()

    def after(self, seq: int) -> list[Event] | None:
        """The events after `seq`, or None when only the table knows."""
        if not self._ring or self._ring[0].seq > seq + 1:
            return None
        return [event for event in self._ring if event.seq > seq]

    def next_change(self) -> asyncio.Event:
        """The event that the next change sets; fetch it before looking, so that no change is missed."""
        return self._changed


class Live:
    """The feeds of the sessions that somebody follows or waits for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._feeds: dict[str, Feed] = {}

    @contextmanager
    def watch(self, session_id: str) -> Iterator[Feed]:
        """Keep the feed of a session while somebody needs it."""
        feed = self._feeds.setdefault(session_id, Feed())
        feed.followers += 1
        try:
            yield feed
        finally:
            feed.followers -= 1
            if feed.followers == 0:
                self._feeds.pop(session_id, None)

    def publish(self, session_id: str, new: Sequence[Event]) -> None:
        """Tell the followers of events that are stored now."""
        feed = self._feeds.get(session_id)
        if feed is not None:
            feed.add(new)

    def announce(self, session_id: str) -> None:
        """Wake the followers of a session that another process has changed."""
        feed = self._feeds.get(session_id)
        if feed is not None:
            feed.ring_bell()

    def announce_all(self) -> None:
        """Wake everybody: bells may have been missed."""
        for feed in self._feeds.values():
            feed.ring_bell()

    async def follow(self, session_id: str, after: int, *, live: bool = True) -> AsyncIterator[Event]:
        """Every event after a number, then those to come; without `live` it ends with the log."""
        with self.watch(session_id) as feed:
            while True:
                change = feed.next_change()
                found = feed.after(after)
                if found is None:
                    async with self._database.autocommit() as tx:
                        found = await events.read(tx, session_id, after)
                for event in found:
                    after = event.seq
                    yield event
                if found:
                    continue
                if not live:
                    return
                try:
                    async with asyncio.timeout(FALLBACK_POLL_S):
                        await change.wait()
                except TimeoutError:
                    continue
