"""How a tool call looks in an editor: kind, title, files, the change it makes, and why it is asked."""

from __future__ import annotations

import json
import re
from typing import Any

from acp.schema import (
    ContentToolCallContent,
    FileEditToolCallContent,
    TextContentBlock,
    ToolCallLocation,
    ToolCallProgress,
    ToolCallStart,
    ToolCallStatus,
    ToolCallUpdate,
    ToolKind,
)

from client.workspace.content.reading import bytes_of
from client.workspace.edits import planned_edit
from client.workspace.executor import ToolOutcome
from client.workspace.folder import FileChange, Located, Refusal, Workspace
from client.workspace.judgement import holds_secret
from policy.verdicts.display import escape_display, shorten_display
from tools.catalog import BY_NAME
from tools.edit_file import EDIT_FILE
from wire.protocol import Chunk

MAX_TEXT_CHARS = 20_000
MAX_TITLE_CHARS = 200
_KINDS: dict[str, ToolKind] = {
    "read_file": "read",
    "list_files": "search",
    "glob": "search",
    "search_in_code": "search",
    "write_file": "edit",
    "edit_file": "edit",
    "create_directory": "edit",
    "execute_command": "execute",
}
_VERBS = {
    "read_file": "Read",
    "list_files": "List",
    "glob": "Find files in",
    "search_in_code": "Search in",
    "write_file": "Write",
    "edit_file": "Edit",
    "create_directory": "Create folder",
}
Content = list[ContentToolCallContent | FileEditToolCallContent]


class CallPicture:
    """One call as the updates and the permission request show it; files are read when it is made.

    Without `compares` the change is left out: a call of an earlier day met other files.
    """

    def __init__(self, call: Chunk, arguments: dict[str, Any], workspace: Workspace, *, compares: bool = True) -> None:
        self.call_id = str(call.call_id)
        self._workspace = workspace
        self.name = str(call.tool_name)
        self.kind: ToolKind = _KINDS.get(self.name, "other")
        self.title = title_of(self.name, arguments)
        self.arguments = arguments
        self.locations = _locations(arguments, workspace) if "path" in arguments else []
        change = _change(self.name, arguments, workspace) if compares else []
        self.content: Content = [*change, *_why(call.metadata or {})]

    def started(self, status: ToolCallStatus) -> ToolCallStart:
        """The update that shows the call for the first time."""
        return ToolCallStart(session_update="tool_call", status=status, **self._facts())

    def changed(self, status: ToolCallStatus) -> ToolCallProgress:
        """The update that shows another form of the call."""
        return ToolCallProgress(session_update="tool_call_update", status=status, **self._facts())

    def asked(self) -> ToolCallUpdate:
        """The call of a permission request: a client shows this and nothing of what it was sent before."""
        return ToolCallUpdate(status="pending", **self._facts())

    def _facts(self) -> dict[str, Any]:
        return {
            "tool_call_id": self.call_id,
            "title": self.title,
            "kind": self.kind,
            "locations": self.locations,
            "raw_input": self.arguments,
            "content": self.content,
        }

    def ended(self, outcome: ToolOutcome) -> ToolCallProgress:
        """The update that says what came of the call; a change that was made stays visible."""
        failed = outcome.error is not None
        raw = {"error": outcome.error} if failed else outcome.result
        kept = [part for part in self.content if not failed and isinstance(part, FileEditToolCallContent)]
        made = [part for change in outcome.edits for part in _made(change, self._workspace)]
        return ToolCallProgress(
            session_update="tool_call_update",
            tool_call_id=self.call_id,
            status="failed" if failed else "completed",
            content=[*kept, *_output(raw), *made],
            raw_output=raw,
        )


def title_of(name: str, arguments: dict[str, Any]) -> str:
    """Name a call on one line: its command, or what it does with which file."""
    tool = BY_NAME.get(name)
    if tool is not None and tool.command:
        return code(" ".join(shorten_display(str(arguments.get(tool.command, "")), MAX_TITLE_CHARS).split("\n")))
    path = escape_display(str(arguments.get("path", "." if name in _VERBS else "")))
    line = f"{_VERBS.get(name, name)} {path}".strip()
    if "start_line" in arguments or "end_line" in arguments:
        line += f" lines {arguments.get('start_line', 1)}-{arguments.get('end_line', '')}"
    wanted = arguments.get("query") or arguments.get("pattern")
    return f"{line}: {code(escape_display(str(wanted)))}" if wanted else line


def code(text: str) -> str:
    """Quote a text as Markdown code, whatever backticks it holds."""
    fence = "`" * (_longest_run(text) + 1)
    return f"{fence} {text} {fence}" if "`" in text or not text.strip() else f"{fence}{text}{fence}"


def block(text: str) -> str:
    """Quote lines as a Markdown block of code, whatever backticks they hold; a long text is cut and says so."""
    cut = text[:MAX_TEXT_CHARS]
    fence = "`" * max(3, _longest_run(cut) + 1)
    rest = f"\n… {len(text) - len(cut)} more characters" if len(cut) < len(text) else ""
    return f"{fence}\n{cut.rstrip()}\n{fence}{rest}"


def text_part(text: str) -> ContentToolCallContent:
    """A text as a part of a call's content."""
    return ContentToolCallContent(type="content", content=TextContentBlock(type="text", text=text))


def _longest_run(text: str) -> int:
    """The length of the longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)


def _locations(arguments: dict[str, Any], workspace: Workspace) -> list[ToolCallLocation]:
    try:
        target = str(workspace.locate(str(arguments["path"])).target)
    except Refusal:
        return []
    line = arguments.get("start_line")
    return [ToolCallLocation(path=target, line=line) if isinstance(line, int) else ToolCallLocation(path=target)]


def _change(name: str, arguments: dict[str, Any], workspace: Workspace) -> Content:
    """The file before and after a write, and a command that does not fit into the title."""
    tool = BY_NAME.get(name)
    if tool is not None and tool.command:
        command = str(arguments.get(tool.command, ""))
        fits = "\n" not in command and len(command) <= MAX_TITLE_CHARS
        return [] if fits else [text_part(block(escape_display(command)))]
    is_edit = name == EDIT_FILE.name
    if tool is None or not (is_edit or tool.text):
        return []
    before: str | None
    try:
        located = workspace.locate(str(arguments.get("path", "")))
        if holds_secret(located) and located.file is not None:
            before, after = (arguments.get(key) for key in (("old", "new") if is_edit else ("", tool.text or "")))
            return [_diff(located, before, str(after)), text_part("What this secret file holds now is not shown.")]
        if is_edit:
            edit = planned_edit(workspace, arguments, located)
            before, after = edit.before, edit.after
        else:
            after = str(arguments.get(tool.text or "", ""))
            content = bytes_of(workspace, located)
            before = content.decode(str(arguments.get("encoding", "utf-8"))) if content is not None else None
    except (OSError, UnicodeError, LookupError, Refusal) as error:
        return [text_part(f"The file as it is now cannot be compared: {escape_display(str(error))}")]
    return [_diff(located, before, after), *_hidden(after, before or "")]


def _made(change: FileChange, workspace: Workspace) -> Content:
    """What a command made of one file."""
    try:
        located = workspace.locate(change.path)
        before, after = (None if text is None else text.decode() for text in (change.before, change.after))
    except (UnicodeError, Refusal):
        return []
    if holds_secret(located):
        return [text_part(f"What {code(escape_display(change.path))} holds now is not shown.")]
    return [_diff(located, before, after or ""), *_hidden(after or "", before or "")]


def _diff(located: Located, before: str | None, after: str) -> FileEditToolCallContent:
    return FileEditToolCallContent(type="diff", path=str(located.target), old_text=before, new_text=after)


def _hidden(after: str, before: str) -> Content:
    """Write out new lines that hold characters which an editor may not show."""
    known = set(before.split("\n"))
    lines = [line for line in after.replace("\r\n", "\n").replace("\t", " ").split("\n") if line not in known]
    found = [escaped for line in lines if (escaped := escape_display(line)) != line]
    if not found:
        return []
    return [text_part("Characters that cannot be seen, written out:\n\n" + block("\n".join(found)))]


def _why(explanation: dict[str, Any]) -> Content:
    """What the policy and this client found about the call."""
    lines = ["Danger: **high**"] if explanation.get("danger") == "high" else []
    segments = [part for part in explanation.get("segments") or () if isinstance(part, dict)]
    if len(segments) > 1:
        lines += [
            f"- {part.get('verdict', 'ask')}: {code(escape_display(' '.join(map(str, part.get('argv') or ()))))}"
            for part in segments
        ]
    reasons = [reason for reason in explanation.get("reasons") or () if isinstance(reason, dict)]
    lines += [f"Why: {escape_display(str(reason.get('text', '')))}" for reason in reasons]
    lines += [f"Here: {escape_display(str(note))}" for note in explanation.get("client_notes") or ()]
    return [text_part("\n\n".join(lines))] if lines else []


def _output(raw: Any) -> Content:
    """What a result says, for people."""
    if not isinstance(raw, dict):
        return []
    if raw.get("error") and "exit_code" not in raw:
        return [text_part(escape_display(str(raw["error"])))]
    parts = []
    if "exit_code" in raw:
        texts = [str(raw.get(name) or "").rstrip() for name in ("stdout", "stderr")]
        said = "\n".join(text for text in texts if text)
        head = str(raw.get("error") or f"exit code {raw.get('exit_code')}")
        parts.append(f"{block(_visible(said))}\n\n{head}" if said else head)
    elif isinstance(raw.get("content"), str):
        parts.append(block(raw["content"]))
    elif "matches" in raw:
        found = [f"{match.get('path')}:{match.get('line')}: {match.get('text')}" for match in raw["matches"]]
        parts.append(block(_visible("\n".join(found))) if found else "No matches.")
    elif "files" in raw or "items" in raw:
        names = [str(item.get("path") if isinstance(item, dict) else item) for item in raw.get("files") or raw["items"]]
        parts.append(block(_visible("\n".join(names))) if names else "Nothing.")
    return [text_part(part) for part in parts]


def _visible(text: str) -> str:
    return escape_display(text.replace("\t", "    "))


def arguments_of(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and arguments of a call in OpenAI's form."""
    function = call.get("function")
    if not isinstance(function, dict):
        return "", {}
    try:
        arguments = json.loads(str(function.get("arguments")))
    except ValueError:
        arguments = {}
    return str(function.get("name")), arguments if isinstance(arguments, dict) else {}
