"""How a tool call and what came of it look in the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from client.terminal.diff import FileDiff, diff_edit, diff_write
from client.terminal.text import counted, entries, first_lines, shown
from client.workspace.executor import ToolOutcome
from client.workspace.folder import Workspace, listed
from tools.catalog import BY_NAME
from tools.edit_file import EDIT_FILE
from wire.protocol import Chunk

MAX_OUTPUT_LINES = 12
MAX_OUTPUT_CHARS = 2_000
_PHRASES: Mapping[str, Callable[[Any], str]] = {
    "lines_read": lambda count: counted(count, "line"),
    "bytes_written": lambda count: counted(count, "byte") + " written",
    "replaced": lambda count: counted(count, "occurrence") + " replaced",
    "total_count": lambda count: counted(count, "entry", "entries"),
    "created": lambda is_new: "created" if is_new else "existed already",
}
"""What a result says, by the key that it has."""
_BORDERS = {"low": "green", "normal": "yellow", "high": "red"}


def call_line(tool_name: str, arguments: dict[str, Any]) -> Text:
    """Sum a call up on one line."""
    line = Text("● ", style="bold cyan") + shown(tool_name, "bold")
    command = _command_of(tool_name, arguments)
    if command is not None:
        return line + Text(" ") + shown(command, "bold yellow")
    line += Text(" ") + shown(str(arguments.get("path") or arguments.get("query") or arguments.get("pattern") or ""))
    if "start_line" in arguments or "end_line" in arguments:
        line.append(f" lines {arguments.get('start_line', 1)}-{arguments.get('end_line', '')}", "dim")
    return line


def call_panel(chunk: Chunk, arguments: dict[str, Any], workspace: Workspace, *, whole: bool = False) -> Panel:
    """Show all that a decision needs: the raw command or the diff, the policy's verdict, reasons and danger."""
    explanation = chunk.metadata or {}
    danger = str(explanation.get("danger") or "normal")
    parts: list[RenderableType] = [_subject(str(chunk.tool_name), arguments, workspace, whole=whole)]
    parts += _segments(explanation)
    parts += _reasons(explanation)
    parts += [Text("here: ", style="dim") + shown(str(note)) for note in explanation.get("client_notes") or ()]
    title = Text(f" {chunk.tool_name} ", style="bold")
    title.append(f"· danger {danger} ", "bold red" if danger == "high" else "")
    return Panel(Group(*parts), title=title, title_align="left", border_style=_BORDERS.get(danger, "red"))


def is_cut(chunk: Chunk, arguments: dict[str, Any], workspace: Workspace) -> bool:
    """Whether the panel leaves something out that `whole` would show."""
    diff = _diff(str(chunk.tool_name), arguments, workspace)
    return diff is not None and diff.is_cut


def _command_of(tool_name: str, arguments: dict[str, Any]) -> str | None:
    tool = BY_NAME.get(tool_name)
    return str(arguments.get(tool.command, "")) if tool is not None and tool.command else None


def _diff(tool_name: str, arguments: dict[str, Any], workspace: Workspace) -> FileDiff | None:
    if tool_name == EDIT_FILE.name:
        return diff_edit(workspace, arguments)
    tool = BY_NAME.get(tool_name)
    if tool is None or tool.text is None:
        return None
    path, content = str(arguments.get("path", "")), str(arguments.get(tool.text, ""))
    return diff_write(workspace, path, content, str(arguments.get("encoding", "utf-8")))


def _subject(tool_name: str, arguments: dict[str, Any], workspace: Workspace, *, whole: bool) -> RenderableType:
    command = _command_of(tool_name, arguments)
    if command is not None:
        line = Text("$ ", style="dim") + shown(command, "bold")
        extra = {name: value for name, value in arguments.items() if name != BY_NAME[tool_name].command}
        return Group(line, shown(_compact(extra), "dim")) if extra else line
    diff = _diff(tool_name, arguments, workspace)
    if diff is not None:
        head = shown(str(arguments.get("path", "")), "bold") + Text(f"  {diff.summary}", style="dim")
        return Group(head, diff.render(whole=whole))
    return shown(_compact(arguments))


def _compact(arguments: dict[str, Any]) -> str:
    return "  ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())


def _segments(explanation: dict[str, Any]) -> list[RenderableType]:
    segments = entries(explanation.get("segments"))
    if len(segments) < 2:
        return []
    lines = []
    for segment in segments:
        verdict = str(segment.get("verdict", "ask"))
        words = " ".join(str(word) for word in segment.get("argv") or ())
        mark = {"allow": "✓ ", "deny": "✗ "}.get(verdict, "? ")
        lines.append(Text(f"  {mark}", style="green" if verdict == "allow" else "bold yellow") + shown(words))
    return [Text("parts", style="dim"), *lines]


def _reasons(explanation: dict[str, Any]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for reason in entries(explanation.get("reasons")):
        segment = reason.get("segment")
        where = (
            f" (part {segment + 1})" if isinstance(segment, int) and len(explanation.get("segments") or ()) > 1 else ""
        )
        lines.append(Text("why: ", style="dim") + shown(str(reason.get("text", "")) + where))
    return lines


def outcome_lines(tool_name: str, outcome: ToolOutcome) -> RenderableType:
    """Show compactly what a call gave."""
    if outcome.error:
        return Text("  ✗ ", style="red") + shown(outcome.error, "red")
    result = outcome.result if isinstance(outcome.result, dict) else {}
    tool = BY_NAME.get(tool_name)
    if tool is not None and tool.command:
        return _command_outcome(result, outcome.changed)
    if "matches" in result:
        return _search_outcome(result)
    phrase = next((phrase(result[key]) for key, phrase in _PHRASES.items() if key in result), "done")
    if result.get("backup_path"):
        phrase += ", the old version is kept in " + str(result["backup_path"]).rpartition("/")[0]
    return Text("  ✓ ", style="green") + shown(phrase, "dim")


def _command_outcome(result: dict[str, Any], changed: Sequence[str]) -> RenderableType:
    good = bool(result.get("success"))
    head = Text("  ✓ " if good else "  ✗ ", style="green" if good else "red")
    phrase = result.get("error") or f"exit code {result.get('exit_code')}"
    head.append_text(shown(f"{phrase} after {result.get('duration_seconds')} s", "dim"))
    lines: list[RenderableType] = [head]
    for name, style in (("stdout", ""), ("stderr", "red")):
        output = str(result.get(name) or "").rstrip("\n")
        if output:
            text = first_lines(output, MAX_OUTPUT_LINES, MAX_OUTPUT_CHARS, style)
            lines.append(Text("\n").join(Text("  │ ", style="dim") + line for line in text.split("\n")))
    if changed:
        lines.append(Text("  changed: ", style="dim") + shown(listed(changed)))
    return Group(*lines)


def _search_outcome(result: dict[str, Any]) -> RenderableType:
    matches = result.get("matches") or []
    lines = [Text("  ✓ ", style="green") + Text(counted(result.get("total_matches"), "match", "matches"), style="dim")]
    for match in matches[:5]:
        line = shown(f"  {match['path']}:{match['line']}: ", "dim") + first_lines(str(match["text"]).strip(), 1, 100)
        lines.append(line)
    return Group(*lines)
