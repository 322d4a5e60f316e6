"""Labelled tasks and requests: what an agent is asked, and how to tell whether it did it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from errors import ConfigurationError

Row = TypeVar("Row", bound=BaseModel)
TASKS = Path(__file__).parent / "tasks.jsonl"
"""The tasks that prompts are tuned on."""
HELD_OUT = Path(__file__).parent / "heldout.jsonl"
"""The tasks that no prompt was tuned on: for the figure that is quoted."""


class Request(BaseModel):
    """A request and the agent that it belongs to."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str
    expect: str
    lang: str = "en"


class Task(BaseModel):
    """A task for one agent; the checks that are given must all hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    agent: str
    """The agent that gets the task; `universal` works alone, as in single-agent mode."""
    text: str
    lang: str = "en"
    files: dict[str, str] = Field(default_factory=dict)
    commands: dict[str, str] = Field(default_factory=dict)
    tools: frozenset[str] = frozenset()
    """The tools that the task needs: at least one call of each."""
    may: frozenset[str] = frozenset()
    """Tools that are no mistake either; finishing, asking and reading never is."""
    contains: dict[str, str] = Field(default_factory=dict)
    """What a file holds in the end."""
    says: str = ""
    """What the answer holds, in lower case."""
    unchanged: bool = False
    """Whether every file must stay as it was."""


def read_requests(path: Path) -> list[Request]:
    """Read labelled requests (JSON lines with text, expect, lang)."""
    return [_valid(Request, row, path) for row in _rows(path)]


def read_tasks(path: Path = TASKS) -> list[Task]:
    """Read labelled tasks (JSON lines)."""
    return [_valid(Task, row, path) for row in _rows(path)]


def _rows(path: Path) -> Iterator[Any]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: name a file of JSON lines.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ConfigurationError(f"{path}, line {number} is not JSON.") from error


def _valid(kind: type[Row], row: Any, path: Path) -> Row:
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {error.errors()[0]['msg']} in {json.dumps(row)[:200]}") from error
