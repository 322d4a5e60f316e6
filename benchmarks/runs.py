"""A command line as it is run under strace, and the mark by which the trace is cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MARK = "/marker-of-run/"
"""The driver asks for a file of this name before each run, so that the trace can be cut."""


@dataclass(frozen=True)
class Run:
    """One line with the pipelines that are started for it."""

    line: str
    argv: tuple[tuple[tuple[str, ...], ...], ...]
    env: tuple[tuple[str, str], ...] = ()
    execution: Mapping[str, Any] | None = None
    """The execution contract, for a run by the client."""
