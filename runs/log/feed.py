"""What this process knows of the newest events of one session, in little memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from storage.tables.events import Event

RECENT_EVENTS = 256
"""Events kept in memory per followed session; a reader that is further behind reads the table."""
RECENT_CHARS = 262_144
"""The same in characters; the newest event is kept whatever its size."""
READ_CHARS = 32_768
"""What a reader is given at a time: at least one event, and no second one beyond this."""


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
