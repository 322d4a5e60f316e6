"""How much is played: in full, quickly, or within so many minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

SHARES: Mapping[str, float] = {
    "turns in process": 0.17,
    "live in process": 0.17,
    "growth": 0.13,
    "turns through the stub": 0.13,
    "live through the stub": 0.05,
}
"""The part of the time that each part of the benchmark may take; the long run, the last one, takes the rest.

Of 40 minutes: 7 for turns and 7 for live answers in process, 5 for growth, 7 for turns and live answers through the
stub; about 6 for what has no limit: starts, warm-up, costs, profiles, several processes, SQLite; 8 for the long run,
whose 20,000 turns take 4 where 85 pass in a second. The report says what each part took.
"""
FULL_MINUTES = 40.0
"""From here on everything is played in full: 20,000 turns of the long run, 1,000 of the session that grows."""
LONG_RUN_S = 60.0
"""The least that a long run takes, however late it is."""


@dataclass(frozen=True)
class Size:
    """How much is played, and how long a part may take in seconds."""

    rounds: int
    clients: tuple[int, ...]
    turns: int
    """In each round; twice the number of clients at least."""
    warm_up: int
    """Turns of each kind that both servers play before anything is measured, and a tenth of them before each round."""
    live: tuple[tuple[int, float], ...] = ()
    """Live answers: how many, and within how many seconds they begin."""
    stub_clients: tuple[int, ...] = ()
    stub_live: tuple[tuple[int, float], ...] = ()
    growth: int = 0
    long_run: int = 0
    processes: tuple[int, ...] = ()
    limits_s: Mapping[str, float] = field(default_factory=dict)
    ends_at: float = float("inf")
    """When the time is up, by the monotonic clock."""

    def within(self, minutes: float) -> Size:
        """The same within so many minutes from now: parts end early, with fewer rounds or turns."""
        limits_s = {part: share * minutes * 60 for part, share in SHARES.items()}
        return replace(self, limits_s=limits_s, ends_at=time.monotonic() + minutes * 60)

    def limit_s(self, part: str, loads: int = 1) -> float:
        """How long one of the loads of a part may take."""
        return self.limits_s.get(part, float("inf")) / loads

    @property
    def left_s(self) -> float:
        """How long the long run may take."""
        return max(LONG_RUN_S, self.ends_at - time.monotonic())

    def rounds_within(self, limit_s: float, least: int = 2) -> Iterator[int]:
        """Count the rounds of a load: so many at least, and more while another one fits."""
        began = time.monotonic()
        for number in range(self.rounds):
            spent_s = time.monotonic() - began
            if number >= least and spent_s * (number + 1) / number > limit_s:
                return
            yield number


FULL = Size(
    rounds=5,
    clients=(1, 16, 64),
    turns=200,
    warm_up=200,
    live=((100, 0.0), (500, 0.0), (500, 5.0)),
    stub_clients=(1, 16, 64),
    stub_live=((100, 0.0),),
    growth=1000,
    long_run=20_000,
    processes=(1, 2, 4),
)
SHORTER = replace(FULL, turns=96, stub_clients=(1, 16))
QUICK = Size(
    rounds=2,
    clients=(1, 16),
    turns=40,
    warm_up=60,
    live=((50, 0.0), (50, 5.0)),
    stub_clients=(1, 16),
    stub_live=((50, 0.0),),
    growth=40,
    long_run=100,
    processes=(1, 2),
)


def timed(minutes: float) -> Size:
    """What fits into so many minutes."""
    return (FULL if minutes >= FULL_MINUTES else SHORTER).within(minutes)
