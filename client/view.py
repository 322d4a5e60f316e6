"""The interface to which the turn loop reports: chunks, calls, and the end of a task."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from client.workspace.executor import ToolOutcome
from wire.protocol import Chunk


@dataclass
class TaskSummary:
    """What one task did and cost."""

    outcome: str = "failed"
    """The outcome of the last `done` chunk (docs/protocol.md)."""
    changed: list[str] = field(default_factory=list)
    """The paths that calls changed, in order, without repeats."""
    rejected: int = 0
    usage: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class View(Protocol):
    """Shows a session; the loop builds nothing that is specific to a terminal or an editor."""

    def show(self, chunk: Chunk) -> None:
        """Show one chunk of the stream; calls come with `call_proposed` when their turn has come."""
        ...

    def reply_ended(self) -> None:
        """The reply to one message has ended; text without a line end is complete."""
        ...

    def call_proposed(self, call: Chunk, arguments: dict[str, Any]) -> None:
        """A call is about to be decided, or to run when it needs no decision."""
        ...

    def call_rejected(self, call: Chunk, feedback: str | None) -> None:
        """A call was rejected here."""
        ...

    def call_finished(self, call: Chunk, outcome: ToolOutcome) -> None:
        """A call has run."""
        ...

    def question_closed(self, reason: str) -> None:
        """Another client settled the open question; the reason is one sentence."""
        ...

    def warn(self, sentence: str) -> None:
        """Say something of the client itself that the user should notice."""
        ...

    def task_ended(self, summary: TaskSummary, session_id: str) -> None:
        """A task has ended or is left waiting."""
        ...
