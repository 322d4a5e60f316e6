"""How much of one process each owner uses at the moment, and the limits of that (docs/settings.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from errors import TooManyAtOnce

WITHOUT_USER = 10
"""A principal without an end user may be a gateway in front of many: its limits are so many times higher."""


class Load:
    """The running runs and open streams of each owner in this process; an owner without any is not stored."""

    def __init__(self, max_runs: int, max_streams: int) -> None:
        self._max_runs = max_runs
        self._max_streams = max_streams
        self._runs: dict[str, str] = {}
        self._runs_of: Counter[str] = Counter()
        self._streams_of: Counter[str] = Counter()

    def check_runs(self, owner: str) -> None:
        """Raise TooManyAtOnce when the owner may start no further run now."""
        limit = limit_of(owner, self._max_runs)
        if limit and self._runs_of[owner] >= limit:
            raise TooManyAtOnce("Too many runs of this owner are running", limit=limit, kind="runs")

    def run_begins(self, run_id: str, owner: str) -> None:
        """Count a run until it ends here."""
        if run_id not in self._runs:
            self._runs[run_id] = owner
            self._runs_of[owner] += 1

    def run_ends(self, run_id: str) -> None:
        """Count a run no more; it need not have been counted."""
        owner = self._runs.pop(run_id, None)
        if owner is not None:
            _leave(self._runs_of, owner)

    def check_streams(self, owner: str) -> None:
        """Raise TooManyAtOnce when the owner may open no further stream now."""
        limit = limit_of(owner, self._max_streams)
        if limit and self._streams_of[owner] >= limit:
            raise TooManyAtOnce("Too many streams of this owner are open", limit=limit, kind="streams")

    @contextmanager
    def stream(self, owner: str) -> Iterator[None]:
        """Count a stream while it is open."""
        self._streams_of[owner] += 1
        try:
            yield
        finally:
            _leave(self._streams_of, owner)


def limit_of(owner: str, limit: int) -> int:
    """Return the limit that holds for an owner; 0 is none."""
    return limit if "/" in owner else limit * WITHOUT_USER


def _leave(counts: Counter[str], owner: str) -> None:
    counts[owner] -= 1
    if counts[owner] <= 0:
        del counts[owner]
