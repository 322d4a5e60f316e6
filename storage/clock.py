"""Times as the tables and the wire write them, by the clock of the database: processes may disagree about the time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MAX_ROUND_TRIP_S = 0.5
"""An answer that took longer says too little about when the database gave it."""


@dataclass
class _Clock:
    ahead_s: float | None = None
    """How far the clock of the database is ahead of this process's monotonic clock; None before it was asked."""

    def now(self) -> datetime:
        told_s = time.time() if self.ahead_s is None else self.ahead_s + time.monotonic()
        return datetime.fromtimestamp(told_s, UTC)


_clock = _Clock()


def follow(database_s: float, asked_at: float, told_at: float) -> None:
    """Set the clock by the database: its seconds since 1970, and when (`time.monotonic`) it was asked and answered.

    PostgreSQL only: a SQLite file is served by one process, whose clock is the only one.
    """
    if _clock.ahead_s is None or told_at - asked_at <= MAX_ROUND_TRIP_S:
        _clock.ahead_s = database_s - (asked_at + told_at) / 2


def now() -> datetime:
    """The time of the database; a step of this process's clock does not change it."""
    return _clock.now()


def stamp(moment: datetime | None = None) -> str:
    """An aware UTC time as ISO 8601 with microseconds and `+00:00`: sorts as text, travels as it is."""
    return (moment or now()).astimezone(UTC).isoformat(timespec="microseconds")


def stamp_in(hours: float) -> str:
    """The time that many hours from now; negative hours lie in the past."""
    return stamp(now() + timedelta(hours=hours))
