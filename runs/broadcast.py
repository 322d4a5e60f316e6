"""Readers of session logs: woken when a log has grown, served from memory while they keep up with it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from storage.database import Database, patiently
from storage.tables import events, sessions
from storage.tables.events import Event
from wire.frames import pack
from wire.protocol import Status

RECENT_EVENTS = 256
"""Events kept in memory per followed session; a reader that is further behind reads the table."""
FALLBACK_POLL_S = 5.0
Batch = list[Event] | None


class Feed:
    """What this process knows of the newest events of one session."""

    def __init__(self) -> None:
        self.followers = 0
        self._recent: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self._newest = 0
        """The highest number that is known to be in the table."""
        self._changed = asyncio.Event()

    def add(self, new: Sequence[Event]) -> None:
        """Take events of this process; a gap before them empties the buffer, so that readers go to the table."""
        for event in new:
            if self._recent and event.seq <= self._recent[-1].seq:
                continue
            if self._recent and event.seq != self._recent[-1].seq + 1:
                self._recent.clear()
            self._recent.append(event)
            self._newest = max(self._newest, event.seq)
        self._wake()

    def note(self, newest: int) -> None:
        """Note that another process has written up to this number."""
        if newest > self._newest:
            self._newest = newest
            self._wake()

    def invalidate(self) -> None:
        """Send readers to the table: notifications may have been missed."""
        self._recent.clear()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def after(self, seq: int) -> list[Event] | None:
        """The events after `seq`, or None when they have to be read from the table."""
        if not self._recent or self._recent[0].seq > seq + 1 or max(seq, self._recent[-1].seq) < self._newest:
            return None
        return [event for event in self._recent if event.seq > seq]

    def next_change(self) -> asyncio.Event:
        """The event that the next change sets; fetch it before looking, so that no change is missed."""
        return self._changed


class Broadcast:
    """The feeds of the sessions that are followed or waited for in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._feeds: dict[str, Feed] = {}
        self._is_closed = False

    @contextmanager
    def watch(self, session_id: str) -> Iterator[Feed]:
        """Keep the feed of a session for as long as it is needed."""
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

    def note(self, session_id: str, newest: int) -> None:
        """Tell the followers that another process has written up to this number."""
        feed = self._feeds.get(session_id)
        if feed is not None:
            feed.note(newest)

    def invalidate(self, session_id: str) -> None:
        """Let the followers of a session read the table again."""
        feed = self._feeds.get(session_id)
        if feed is not None:
            feed.invalidate()

    def invalidate_all(self) -> None:
        """Let every follower read the table again: notifications may have been missed."""
        for feed in self._feeds.values():
            feed.invalidate()

    def close(self) -> None:
        """End every stream: this process stops, its readers continue at another one."""
        self._is_closed = True
        self.invalidate_all()

    async def follow(
        self, session_id: str, after: int, *, live: bool = True, is_over: Callable[[], Awaitable[bool]] | None = None
    ) -> AsyncIterator[Event]:
        """Every event after a number, then those to come; without `live` it ends with the log.

        A reader holds one batch at a time, however slow it is; while the database is away it waits. When no event comes
        for a while, `is_over` tells whether more can come.
        """
        with self.watch(session_id) as feed:
            is_polling = not live
            while not self._is_closed:
                change = feed.next_change()
                found = None if is_polling else feed.after(after)
                was_over = is_polling and is_over is not None and await patiently(is_over)
                if found is None:
                    found = await patiently(partial(_undisturbed, self._read, session_id, after))
                    if found is None:
                        return
                for event in found:
                    after = event.seq
                    yield event
                if found:
                    continue
                if not live or was_over:
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
    """Let a read finish although its reader has left: a cancelled query costs the pool its connection."""
    reading = asyncio.ensure_future(read(session_id, after))
    reading.add_done_callback(lambda task: task.cancelled() or task.exception())
    return await asyncio.shield(reading)


def _resync(oldest: int) -> Event:
    """Tell a reader that the log begins later than what it asked for (docs/protocol.md, Chunks)."""
    sentence = "Older events are not kept; read the history of the session first."
    chunk = Status(content=sentence, metadata={"status": "resync", "oldest": oldest})
    return Event(oldest - 1, "", pack(chunk))
