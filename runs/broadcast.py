"""The bell of this process: who follows a session learns at once that its log has grown."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from storage import events, sessions
from storage.database import Database, patiently
from storage.events import Event
from wire.frames import pack
from wire.protocol import Status

RING = 256
"""Events kept in memory per followed session; who is further behind reads the table."""
FALLBACK_POLL_S = 5.0
Batch = list[Event] | None


class Feed:
    """What this process knows of the newest events of one session."""

    def __init__(self) -> None:
        self.followers = 0
        self._ring: deque[Event] = deque(maxlen=RING)
        self._newest = 0
        """The highest number that is known to be in the table."""
        self._changed = asyncio.Event()

    def add(self, new: Sequence[Event]) -> None:
        """Take events of this process; a hole before them empties the ring, so that readers go to the table."""
        for event in new:
            if self._ring and event.seq <= self._ring[-1].seq:
                continue
            if self._ring and event.seq != self._ring[-1].seq + 1:
                self._ring.clear()
            self._ring.append(event)
            self._newest = max(self._newest, event.seq)
        self.ring_bell()

    def hear(self, newest: int) -> None:
        """Take note that another process has written up to this number."""
        if newest > self._newest:
            self._newest = newest
            self.ring_bell()

    def forget(self) -> None:
        """Bells may have been missed: only the table knows what there is."""
        self._ring.clear()
        self.ring_bell()

    def ring_bell(self) -> None:
        """Wake everybody who waits."""
        self._changed.set()
        self._changed = asyncio.Event()

    def after(self, seq: int) -> list[Event] | None:
        """The events after `seq`, or None when only the table knows."""
        if not self._ring or self._ring[0].seq > seq + 1 or max(seq, self._ring[-1].seq) < self._newest:
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
        self._is_closed = False

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

    def hear(self, session_id: str, newest: int) -> None:
        """Tell the followers that another process has written up to this number."""
        feed = self._feeds.get(session_id)
        if feed is not None:
            feed.hear(newest)

    def announce(self, session_id: str) -> None:
        """Wake the followers of a session that was changed."""
        feed = self._feeds.get(session_id)
        if feed is not None:
            feed.forget()

    def announce_all(self) -> None:
        """Wake everybody: bells may have been missed."""
        for feed in self._feeds.values():
            feed.forget()

    def close(self) -> None:
        """End every stream: this process stops, its readers go on elsewhere."""
        self._is_closed = True
        self.announce_all()

    async def follow(self, session_id: str, after: int, *, live: bool = True) -> AsyncIterator[Event]:
        """Every event after a number, then those to come; without `live` it ends with the log.

        A reader holds one batch at a time, however slow it is; while the database is away it waits.
        """
        with self.watch(session_id) as feed:
            is_polling = not live
            while not self._is_closed:
                change = feed.next_change()
                found = None if is_polling else feed.after(after)
                if found is None:
                    found = await patiently(partial(_undisturbed, self._read, session_id, after))
                    if found is None:
                        return
                for event in found:
                    after = event.seq
                    yield event
                if found:
                    continue
                if not live:
                    return
                is_polling = False
                try:
                    async with asyncio.timeout(FALLBACK_POLL_S):
                        await change.wait()
                except TimeoutError:
                    is_polling = True

    async def _read(self, session_id: str, after: int) -> Batch:
        """The next events of the table, behind a `resync` where the log begins later; None when the session is gone."""
        async with self._database.autocommit() as tx:
            found = await events.read(tx, session_id, after)
            if not found:
                session = await sessions.find_any(tx, session_id)
                return None if session is None or session.deleted_at is not None else []
            if found[0].seq > after + 1 and await events.oldest(tx, session_id) == found[0].seq:
                found.insert(0, _resync(found[0].seq))
        return found


async def _undisturbed(read: Callable[[str, int], Awaitable[Batch]], session_id: str, after: int) -> Batch:
    """Let a read end even if its reader leaves: a query that is cut off costs the pool its connection."""
    reading = asyncio.ensure_future(read(session_id, after))
    reading.add_done_callback(lambda task: task.cancelled() or task.exception())
    return await asyncio.shield(reading)


def _resync(oldest: int) -> Event:
    """Tell a reader that what it wants is not in the log any more (protocol section 4)."""
    sentence = "Older events are not kept; read the history of the session first."
    chunk = Status(content=sentence, metadata={"status": "resync", "oldest": oldest})
    return Event(oldest - 1, "", pack(chunk))
