"""Labelled tasks and requests: what an agent is asked, and the checks of its result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from errors import ConfigurationError

Row = TypeVar("Row", bound=BaseModel)
TASKS = Path(__file__).parent / "labels" / "tasks.jsonl"
"""The tasks that prompts are tuned on."""
EDITS = Path(__file__).parent / "labels" / "edits.jsonl"
"""Changes of files of 40 to 80 lines, which a reply that is cut, or written from memory, would shorten."""
HELD_OUT = Path(__file__).parent / "labels" / "heldout.jsonl"
"""The tasks that no prompt was tuned on: their results are the published ones."""


class Request(BaseModel):
    """A request and the agent that should get it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str
    expect: str
    lang: str = "en"


class CommandOutput(BaseModel):
    """What a command of a task prints, and how it ends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stdout: str
    exit_code: int = 0


def _as_output(value: Any) -> Any:
    return {"stdout": value} if isinstance(value, str) else value


class Task(BaseModel):
    """A task for one agent; all its checks must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    agent: str
    """The agent that gets the task; `universal` works alone, as in single-agent mode."""
    text: str
    lang: str = "en"
    files: dict[str, str] = Field(default_factory=dict)
    commands: dict[str, Annotated[CommandOutput, BeforeValidator(_as_output)]] = Field(default_factory=dict)
    """Output by the words that a command contains: a text, or `stdout` and `exit_code`."""
    tools: frozenset[str] = frozenset()
    """The tools that the task needs: at least one call of each."""
    may: frozenset[str] = frozenset()
    """Further tools that are no mistake; finishing, asking and reading are never one."""
    contains: dict[str, str] = Field(default_factory=dict)
    """Text that each file must contain at the end."""
    replaces: dict[str, list[str]] = Field(default_factory=dict)
    """By file: text of the lines that the wished change replaces or takes out; every other line has to stay."""
    says: str = ""
    """Texts that the answer must contain, in lower case."""
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
