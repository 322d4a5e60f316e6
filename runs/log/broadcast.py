"""Readers of session logs: woken when a log has grown, served from memory while they keep up with it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from weakref import WeakValueDictionary

from storage.database import Database, patiently
from storage.tables import events, sessions
from storage.tables.events import Event
from wire.chunks import pack
from wire.protocol import Status

FALLBACK_POLL_S = 5.0
Batch = list[Event] | None
RECENT_EVENTS = 256
"""Events kept in memory per followed session; a reader that is further behind reads the table."""
RECENT_CHARS = 262_144
"""The same in characters; the newest event is kept whatever its size."""
READ_CHARS = 32_768
"""What a reader is given at a time: at least one event, and no second one beyond this."""


class Broadcast:
    """The feeds of the sessions that are followed or waited for in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._feeds: dict[str, Feed] = {}
        self._large: WeakValueDictionary[tuple[str, int], Event] = WeakValueDictionary()
        """Large events that some reader holds: the next one is given the same object."""
        self._any = asyncio.Event()
        self._is_closed = False

    @property
    def followers(self) -> int:
        """How many readers and waiting requests there are."""
        return sum(feed.followers for feed in self._feeds.values())

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

    def any_change(self) -> asyncio.Event:
        """Return the event that the next change of any session sets; fetch it before looking."""
        return self._any

    def _wake_any(self) -> None:
        self._any.set()
        self._any = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether this process stops."""
        return self._is_closed

    def publish(self, session_id: str, new: Sequence[Event]) -> None:
        """Tell the followers of events that are stored now."""
        self._wake_any()
        feed = self._feeds.get(session_id)
        if feed is not None:
            feed.add([self._shared(session_id, event) for event in new])

    def note(self, session_id: str, newest: int) -> None:
        """Tell the followers that another process has written up to this number."""
        self._wake_any()
        feed = self._feeds.get(session_id)
        if feed is not None:
            feed.note(newest)

    def invalidate(self, session_id: str) -> None:
        """Let the followers of a session read the table again."""
        self._wake_any()
        feed = self._feeds.get(session_id)
        if feed is not None:
            feed.invalidate()

    def invalidate_all(self) -> None:
        """Let every follower read the table again: notifications may have been missed."""
        self._wake_any()
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

        A reader holds READ_CHARS at a time or one larger event, which all readers share, however slow it is; while the
        database is away it waits. When no event comes for a while, `is_over` tells whether more can come.
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
                if found:
                    for event in found:
                        after = event.seq
                        yield event
                    del found, event  # nothing is held while the reader waits
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
            rows = await events.read(tx, session_id, after, max_chars=READ_CHARS)
            found = [self._shared(session_id, event) for event in rows]
            if not found:
                session = await sessions.find_any(tx, session_id)
                return None if session is None or session.deleted_at is not None else []
            if found[0].seq > after + 1 and await events.oldest(tx, session_id) == found[0].seq:
                found.insert(0, _resync(found[0].seq))
        return found

    def _shared(self, session_id: str, event: Event) -> Event:
        return event if len(event.packed) <= READ_CHARS else self._large.setdefault((session_id, event.seq), event)


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


class Feed:
    """The newest events of a session, for all its readers."""

    def __init__(self) -> None:
        self.followers = 0
        self._recent: deque[Event] = deque()
        self._recent_chars = 0
        self._newest = 0
        """The highest number that is known to be in the table."""
        self._complete_after: int | None = None
        """`_recent` holds every event of the table after this number; None when that is not known."""
        self._changed = asyncio.Event()

    def add(self, new: Sequence[Event]) -> None:
        """Take events of this process; a gap before them empties the buffer, so that readers go to the table."""
        for event in new:
            if event.seq <= self._last:
                continue
            if event.seq != self._last + 1:
                self._forget()
            self._recent.append(event)
            self._recent_chars += len(event.packed)
            self._newest = max(self._newest, event.seq)
        while len(self._recent) > RECENT_EVENTS or (self._recent_chars > RECENT_CHARS and len(self._recent) > 1):
            self._recent_chars -= len(self._recent.popleft().packed)
        if self._recent:
            self._complete_after = self._recent[0].seq - 1
        self._wake()

    def begin(self, newest: int) -> None:
        """Note with which number the log ends now: a reader that goes on from there needs no look at the table."""
        if newest >= max(self._newest, self._last):
            self._forget()
            self._newest = self._complete_after = newest

    @property
    def _last(self) -> int:
        if self._recent:
            return self._recent[-1].seq
        return -1 if self._complete_after is None else self._complete_after

    def note(self, newest: int) -> None:
        """Note that another process has written up to this number."""
        if newest > self._newest:
            self._newest = newest
            self._wake()

    def invalidate(self) -> None:
        """Send readers to the table: notifications may have been missed."""
        self._forget()
        self._wake()

    def _forget(self) -> None:
        self._recent.clear()
        self._recent_chars = 0
        self._complete_after = None

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def after(self, seq: int) -> list[Event] | None:
        """The next events after `seq`, or None when they have to be read from the table."""
        if self._complete_after is None or seq < self._complete_after or max(seq, self._last) < self._newest:
            return None
        return first_of(event for event in self._recent if event.seq > seq)

    def next_change(self) -> asyncio.Event:
        """The event that the next change sets; fetch it before looking, so that no change is missed."""
        return self._changed


def first_of(events: Iterable[Event]) -> list[Event]:
    """As many of them as a reader is given at a time."""
    taken: list[Event] = []
    left = READ_CHARS
    for event in events:
        left -= len(event.packed)
        if left < 0 and taken:
            break
        taken.append(event)
    return taken
