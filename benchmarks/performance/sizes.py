"""How much is played: in full, quickly, or within so many minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

SHARES: Mapping[str, float] = {
    "turns in process": 0.16,
    "live in process": 0.26,
    "growth": 0.10,
    "long run": 0.16,
    "turns through the stub": 0.12,
    "live through the stub": 0.10,
}
"""The part of the time that each part of the benchmark may take; the rest is for what has no limit."""


@dataclass(frozen=True)
class Size:
    """How much is played, and how long a part may take in seconds."""

    rounds: int
    clients: tuple[int, ...]
    turns: int
    live: tuple[int, ...]
    growth: int
    long_run: int
    processes: tuple[int, ...] = (1, 2, 4)
    limits_s: Mapping[str, float] = field(default_factory=dict)

    def within(self, minutes: float) -> Size:
        """The same within so many minutes: parts end early, with fewer rounds or turns."""
        return replace(self, limits_s={part: share * minutes * 60 for part, share in SHARES.items()})

    def limit_s(self, part: str, loads: int = 1) -> float:
        """How long one of the loads of a part may take."""
        return self.limits_s.get(part, float("inf")) / loads

    def rounds_within(self, limit_s: float) -> Iterator[int]:
        """Count the rounds of a load: two, where they fit, and more while another one fits."""
        began = time.monotonic()
        for number in range(self.rounds):
            spent_s = time.monotonic() - began
            if number and spent_s * (number + 1) / number > limit_s and (number > 1 or spent_s > limit_s):
                return
            yield number


FULL = Size(rounds=5, clients=(1, 16, 64), turns=200, live=(100, 500), growth=1000, long_run=20_000)
TIMED = replace(FULL, rounds=3, turns=96)
QUICK = Size(rounds=2, clients=(1, 16), turns=24, live=(50,), growth=40, long_run=100, processes=(1, 2))
