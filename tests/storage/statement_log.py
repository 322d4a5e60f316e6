"""The statements that a real server sends, with their parameters, read from the log of PostgreSQL."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

_BEGINNING = re.compile(r"^(\d+) (LOG|DETAIL):  (.*)", re.DOTALL)
_EXECUTED = re.compile(r"execute [^:]*: (.*)", re.DOTALL)
_VALUE = re.compile(r"\$\d+ = (NULL|'(?:[^']|'')*')")
_OF_ROWS = re.compile(r"\s*(select|insert|update|delete|with)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Sent:
    """One statement as PostgreSQL executed it; `values` are literals in the order of `$1`, `$2`, …."""

    text: str
    values: tuple[str, ...]

    def plan(self, connection: psycopg.Connection[Any]) -> dict[str, Any]:
        """Ask PostgreSQL for its plan; nothing is executed."""
        values = f"({', '.join(self.values)})" if self.values else ""
        connection.execute(f"prepare recorded as {self.text.rstrip().rstrip(';')}".encode(), prepare=False)
        try:
            explained = f"explain (format json) execute recorded{values}"
            row = connection.execute(explained.encode(), prepare=False).fetchone()
        finally:
            connection.execute("deallocate recorded", prepare=False)
        assert row is not None, "explain gives a row"
        plan: dict[str, Any] = row[0][0]["Plan"]
        return plan


def statements_in(log: str) -> dict[str, Sent]:
    """The last execution of each statement that reads or writes rows, by its text."""
    found: dict[str, Sent] = {}
    text_of: dict[str, str] = {}
    for process, kind, text in _entries(log):
        executed = _EXECUTED.fullmatch(text) if kind == "LOG" else None
        if executed is not None and _OF_ROWS.match(executed[1]):
            text_of[process] = executed[1]
            found[executed[1]] = Sent(executed[1], ())
        elif kind == "DETAIL" and process in text_of:
            known = text_of.pop(process)
            found[known] = Sent(known, tuple(_VALUE.findall(text)))
    return found


def _entries(log: str) -> Iterator[tuple[str, str, str]]:
    """Each entry as (process, kind, text): lines that go on begin with a tab."""
    for entry in re.split(r"\n(?!\t)", log):
        if (found := _BEGINNING.fullmatch(entry)) is not None:
            yield found[1], found[2], found[3].replace("\n\t", "\n")


def log_of(connection: psycopg.Connection[Any], within_s: float = 10.0) -> str:
    """Read the log of the server of this connection, once all that was sent before stands in it."""
    row = connection.execute("show data_directory").fetchone()
    assert row is not None, "show gives a row"
    marker = f"select {time.monotonic_ns()}"
    connection.execute(marker.encode(), prepare=False)
    deadline = time.monotonic() + within_s
    while marker not in (log := Path(row[0], "log").read_text("utf-8", errors="replace")):
        assert time.monotonic() < deadline, "PostgreSQL did not log the marker"
        time.sleep(0.05)
    return log
