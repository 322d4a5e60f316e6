"""What Tab completes in a request: slash commands at its start, file names behind an @."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from policy.verdicts.display import escape_display

MAX_OFFERED = 200
_MENTION = re.compile(r"(?:^|\s)@(\S*)$")


class RequestCompleter(Completer):
    """Completes commands, and `@path` step by step through the folders of a workspace."""

    def __init__(self, commands: Sequence[str], root: Path) -> None:
        self._commands = commands
        self._root = root

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield the completions at the cursor."""
        text = document.text_before_cursor
        mention = _MENTION.search(text)
        if mention is not None:
            yield from self._paths(mention.group(1))
        elif text.startswith("/"):
            yield from (Completion(name, -len(text)) for name in self._commands if name.startswith(text))

    def _paths(self, written: str) -> Iterable[Completion]:
        """The entries of the folder that is written so far; names that would end the mention are left out."""
        folder, _, start = written.rpartition("/")
        inside = (self._root / folder).resolve()
        if inside != self._root and self._root not in inside.parents:
            return
        try:
            entries = sorted(os.scandir(inside), key=lambda entry: entry.name)
        except OSError:
            return
        fitting = [e for e in entries if e.name.startswith(start) and (start or not e.name.startswith("."))]
        for entry in fitting[:MAX_OFFERED]:
            name = entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
            if not re.search(r"\s", name) and escape_display(name) == name:
                yield Completion(name, -len(start))


def without_marks(text: str, root: Path) -> str:
    """Write `@path` of a file that exists as its path: the agents know no other form."""

    def plain(found: re.Match[str]) -> str:
        return found.group(2) if (root / found.group(2)).exists() else found.group(0)

    return re.sub(r"(?<!\S)(@)(\S*\w)", plain, text)
