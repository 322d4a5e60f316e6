"""The change that a write would make, as a coloured unified diff."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rich.text import Text

from client.terminal.text import counted, shown
from client.workspace.content.reading import bytes_of
from client.workspace.edits import planned_edit
from client.workspace.folder import Located, Refusal, Workspace
from client.workspace.judgement import holds_secret

MAX_LINES = 120
MAX_LINE_CHARS = 2_000
# difflib needs quadratic time in the worst case.
_MAX_COMPARED_LINES = 20_000
_WITHHELD = "a secret file, whose content is not shown,"
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True)
class FileDiff:
    """What a write changes: the lines of the diff and one phrase that sums it up."""

    summary: str
    lines: tuple[str, ...]

    def render(self, *, whole: bool = False) -> Text:
        """Give the diff in colours; unless `whole`, a long one ends by saying how much follows."""
        limit = len(self.lines) if whole else MAX_LINES
        text = Text(overflow="fold")
        for index, line in enumerate(islice(self.lines, limit)):
            kept = line if whole else line[:MAX_LINE_CHARS]
            text.append("\n" if index else "")
            text.append_text(shown(kept, _STYLES.get(line[:1], ""), show_tabs=True))
            if len(kept) < len(line):
                text.append(f"… {len(line) - len(kept)} more characters", "bold yellow")
        rest = self.lines[limit:]
        if rest:
            text.append(f"\n… {len(rest)} more lines, {sum(map(len, rest))} more characters", "bold yellow")
        return text

    @property
    def is_cut(self) -> bool:
        """Whether `render` leaves something out."""
        return len(self.lines) > MAX_LINES or any(len(line) > MAX_LINE_CHARS for line in self.lines)


def diff_write(workspace: Workspace, path: str, content: str, encoding: str = "utf-8") -> FileDiff:
    """Compare the file as it is now with what is to be written; what a secret file holds is withheld."""
    try:
        located = workspace.locate(path)
        if holds_secret(located) and located.file is not None:
            return FileDiff(f"replaces {_WITHHELD} by {_lines_of(content)}", tuple(_marked("+", content)))
        before = _read(workspace, located, encoding)
    except (OSError, UnicodeError, LookupError, Refusal):
        return FileDiff("replaces something that cannot be read as text", tuple(_marked("+", content)))
    if before is None:
        return FileDiff(f"new file, {_lines_of(content)}", tuple(_marked("+", content)))
    return _changed(before, content)


def diff_edit(workspace: Workspace, arguments: dict[str, Any]) -> FileDiff:
    """Compare the file with what an edit_file call makes of it; of a secret file only what the call says."""
    try:
        located = workspace.locate(str(arguments.get("path", "")))
        if holds_secret(located):
            return FileDiff(f"replaces a piece of {_WITHHELD}", _removed_and_added(arguments))
        edit = planned_edit(workspace, arguments, located)
    except (OSError, KeyError, Refusal) as error:
        return FileDiff(f"cannot be applied: {error}", _removed_and_added(arguments))
    return _changed(edit.before, edit.after)


def _removed_and_added(arguments: dict[str, Any]) -> tuple[str, ...]:
    return (*_marked("-", str(arguments.get("old", ""))), *_marked("+", str(arguments.get("new", ""))))


def _changed(before: str, content: str) -> FileDiff:
    if before == content:
        return FileDiff("no change", ())
    if before.count("\n") + content.count("\n") > _MAX_COMPARED_LINES:
        return FileDiff(f"replaces {_lines_of(before)} by {_lines_of(content)}", tuple(_marked("+", content)))
    return _compare(before, content)


def _compare(before: str, content: str) -> FileDiff:
    old, new = before, content
    if all(text.count("\r\n") == text.count("\n") for text in (old, new)):
        old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    lines = tuple(_unified(old, new))
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    return FileDiff(f"{counted(added, 'line')} added, {removed} removed", lines)


def _unified(old: str, new: str) -> list[str]:
    """Diff without the two header lines; a missing last line feed is said, as diff does."""
    lines: list[str] = []
    for line in islice(difflib.unified_diff(_with_ends(old), _with_ends(new), n=3), 2, None):
        lines.append(line.removesuffix("\n"))
        if not line.endswith("\n"):
            lines.append("\\ No newline at end of file")
    return lines


def _with_ends(text: str) -> list[str]:
    # Not splitlines(): a form feed or U+2028 is text here, and must be seen.
    *lines, last = text.split("\n")
    return [line + "\n" for line in lines] + ([last] if last else [])


def _read(workspace: Workspace, located: Located, encoding: str) -> str | None:
    content = bytes_of(workspace, located)
    return None if content is None else content.decode(encoding)


def _marked(mark: str, content: str) -> list[str]:
    return [mark + line.removesuffix("\n") for line in _with_ends(content)]


def _lines_of(text: str) -> str:
    return counted(len(_with_ends(text)), "line")
