"""Rows that could not be written: each is tried again after a pause that grows, and holds up no other."""

from __future__ import annotations

import time

PAUSE_S = 0.5
MAX_PAUSE_S = 60.0
"""The first and the longest pause after a failure."""
MAX_KEYS = 1000


class Unwritable:
    """Which rows failed in this process, by id: how often, and when (of the monotonic clock) each is tried again."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._failed)

    def is_due(self, key: str) -> bool:
        """Whether a row may be tried now."""
        return time.monotonic() >= self._failed.get(key, (0, 0.0))[1]

    def note_failure(self, key: str) -> None:
        """Leave a row alone for a while, longer each time."""
        failures, _ = self._failed.get(key, (0, 0.0))
        if len(self._failed) >= MAX_KEYS:
            self._failed.clear()
        self._failed[key] = (failures + 1, time.monotonic() + min(MAX_PAUSE_S, PAUSE_S * 2**failures))

    def forget(self, key: str) -> None:
        """Note that a row was written."""
        self._failed.pop(key, None)
