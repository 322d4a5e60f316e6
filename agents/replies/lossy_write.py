"""A write or an edit that would lose what stands in the file, or the turn's change of it: a person is told of it.

What the file holds is taken from the thread: the last whole read or write of it, and the edits since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from agents.replies.compiled_edit import is_cut
from agents.thread.conversation import is_said_by_user
from json_text import parse_json
from policy.paths.canonical import canonicalise
from policy.verdicts.unproven import Unproven
from policy.verdicts.verdict import Verdict
from tools.edit_file import EDIT_FILE, edited
from tools.read_file import READ_FILE
from tools.write_file import WRITE_FILE, loss_between, lost_lines

_CUT = f"[{READ_FILE.refetch}]"
_FILE_TOOLS = (READ_FILE.name, WRITE_FILE.name, EDIT_FILE.name)


@dataclass(frozen=True)
class _Known:
    """What the thread says of a file: its whole text, or None where the model has seen a part of it only."""

    text: str | None
    at_first: str | None = None
    """Its text before the first change of this turn; None where the turn has changed nothing."""


def loss_of(verdict: Verdict, content: str, thread: Sequence[AnyMessage], workspace_root: str | None) -> str | None:
    """Say in a clause what a judged write of `content` would lose of its file; None when nothing points to a loss."""
    path = verdict.path
    known = _known_of(path, thread, workspace_root) if path is not None else None
    if known is None:
        return None
    if known.text is None:
        return f"only a part of {path} was read, and write_file replaces all of it"
    if known.at_first is not None and _takes_back(known.at_first, known.text, content):
        return f"it takes back what was changed in {path} before"
    return loss_between(known.text, content, path)


def loss_of_edit(
    verdict: Verdict, arguments: Mapping[str, Any], thread: Sequence[AnyMessage], workspace_root: str | None
) -> str | None:
    """Say the same of a judged edit: one with most of a file in `old` loses as much as a write."""
    path = verdict.path
    known = _known_of(path, thread, workspace_root) if path is not None else None
    after = known and _after(known, EDIT_FILE.name, arguments, "")
    if known is None or known.text is None or after is None or after.text is None:
        return None
    return loss_between(known.text, after.text, path)


def _takes_back(before: str, now: str, content: str) -> bool:
    """Whether all that the turn brought into a file goes, and all that it took out comes back.

    Such a write repeats what the model has read, without what it has changed since.
    """
    brought, taken = lost_lines(now, before), lost_lines(before, now)
    is_gone = Counter(brought) <= Counter(lost_lines(now, content))
    return bool(brought or taken) and is_gone and not lost_lines(before, content)


def _known_of(path: str, thread: Sequence[AnyMessage], workspace_root: str | None) -> _Known | None:
    """Follow the calls on one path; None where none of them told anything of the file."""
    known: _Known | None = None
    made: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for message in thread:
        if is_said_by_user(message):
            known = known and _Known(known.text)
        elif isinstance(message, AIMessage):
            made |= {str(c["id"]): (c["name"], c["args"]) for c in message.tool_calls if c["name"] in _FILE_TOOLS}
        elif isinstance(message, ToolMessage) and message.tool_call_id in made:
            name, arguments = made.pop(message.tool_call_id)
            if _is_done(message) and _canonical(arguments.get("path"), workspace_root) == path:
                after = _after(known, name, arguments, str(message.content))
                known = after and replace(after, at_first=_at_first(known, name))
    return known


def _at_first(known: _Known | None, name: str) -> str | None:
    """The text of a file before the first change of the turn, of which the call `name` may be one."""
    if known is None:
        return None
    return known.at_first if known.at_first is not None or name == READ_FILE.name else known.text


def _is_done(message: ToolMessage) -> bool:
    """Whether the client carried the call out as it was made."""
    text = str(message.content)
    is_result = bool(message.additional_kwargs.get("untrusted"))
    return is_result and not text.startswith(("Error:", "The user changed the arguments"))


def _after(known: _Known | None, name: str, arguments: Mapping[str, Any], result: str) -> _Known | None:
    if name == WRITE_FILE.name:
        return _Known(str(arguments.get("content", "")))
    if name == EDIT_FILE.name:
        if known is None or known.text is None:
            return known
        try:
            old, new, count = str(arguments["old"]), str(arguments["new"]), int(arguments.get("count", 1))
            return _Known(edited(known.text, old, new, count=count, path=""))
        except (KeyError, ValueError):
            return None  # the file was not what the thread says: nothing is known of it
    text = _whole_read(arguments, result)
    return _Known(text) if text is not None else known or _Known(None)


def _whole_read(arguments: Mapping[str, Any], result: str) -> str | None:
    """The text of a file that a read gave whole; None where it gave a part."""
    if result.endswith(_CUT) or arguments.get("start_line", 1) != 1:
        return None
    try:
        told = parse_json(result)
    except ValueError:
        told = result
    text = told.get("content") if isinstance(told, Mapping) else result
    if not isinstance(text, str) or is_cut(told, text):
        return None
    end = arguments.get("end_line")
    return None if isinstance(end, int) and len(text.splitlines()) >= end else text


def _canonical(path: object, workspace_root: str | None) -> str:
    try:
        return canonicalise(str(path), "file", workspace_root).text
    except Unproven:
        return str(path)
