"""The time limit of a task; the clock is paused while a person is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from errors import AgentRuntimeError


class TimeUp(AgentRuntimeError):
    """The task took longer than it may."""


class TimeLimit:
    """The time that is left for the current task."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends_at = 0.0
        self.restart()

    def restart(self, seconds: float | None = None) -> None:
        """Start again; `seconds` replaces the limit this time."""
        self._ends_at = time.monotonic() + (self.seconds if seconds is None else seconds)

    @property
    def left_s(self) -> float:
        """The seconds that are left, never less than 0."""
        return max(0.0, self._ends_at - time.monotonic())

    def check(self) -> None:
        """Raise TimeUp when nothing is left."""
        if not self.left_s:
            raise TimeUp(f"The task was stopped: it took longer than {self.seconds:g} seconds (--timeout).")

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the limit."""
        time.sleep(min(seconds, self.left_s))
        self.check()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock while a person is asked."""
        asked_at = time.monotonic()
        try:
            yield
        finally:
            self._ends_at += time.monotonic() - asked_at
