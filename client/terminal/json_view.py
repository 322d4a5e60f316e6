"""`--json`: a task as JSON lines, for programs (docs/terminal-client.md, JSON lines)."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from client.view import TaskSummary
from client.workspace.executor import ToolOutcome
from wire.protocol import Chunk

FORM = 1
"""The version of the lines; a change that could break a reader raises it."""


class JsonView:
    """Prints one object per line: `chunk`, `result` and `end`; sentences for people go to the standard error."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def show(self, chunk: Chunk) -> None:
        """Print a `chunk` line."""
        self._print("chunk", chunk=chunk.model_dump(exclude_none=True))

    def reply_ended(self) -> None:
        """Print nothing: the `done` chunk was printed."""

    def call_proposed(self, call: Chunk, arguments: dict[str, Any]) -> None:
        """Print nothing: the chunk of the call was printed."""

    def call_rejected(self, call: Chunk, feedback: str | None) -> None:
        """Print a `rejected` line."""
        self._print("rejected", call_id=call.call_id, feedback=feedback)

    def call_finished(self, call: Chunk, outcome: ToolOutcome) -> None:
        """Print a `result` line."""
        self._print("result", call_id=call.call_id, result=outcome.result, error=outcome.error)

    def question_closed(self, reason: str) -> None:
        """Write the reason to the standard error."""
        self.warn(reason)

    def warn(self, sentence: str) -> None:
        """Write a sentence to the standard error."""
        print(sentence, file=sys.stderr)

    def task_ended(self, summary: TaskSummary, session_id: str) -> None:
        """Print the `end` line."""
        usage = dict(summary.usage)
        self._print("end", outcome=summary.outcome, session_id=session_id, changed=summary.changed, usage=usage)

    def _print(self, kind: str, **fields: Any) -> None:
        # ASCII: lone surrogates of a model travel as escapes.
        print(json.dumps({"form": FORM, "kind": kind, **fields}), file=self._output, flush=True)
