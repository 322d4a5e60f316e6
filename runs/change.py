"""What a write would change: a diff against the text that the session knows (the files lie with the client)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple

from agents.roster import DOCUMENT_TOOLS
from runs.known_file import known_file
from storage.database import Transaction
from storage.tables.calls import CallRecord
from tools.edit_file import EDIT_FILE
from tools.write_file import WRITE_FILE

MAX_LINES = 2000
MAX_CHARS = 200_000
"""Above it no lines are compared: difflib's time grows with the square of what differs."""
Against = Literal["last_read", "last_write", "quoted", "nothing"]


class Change(NamedTuple):
    """The lines of a unified diff, and which old text they are against."""

    path: str
    against: Against
    diff: list[str]
    is_cut: bool


async def change_of(
    tx: Transaction, session_id: str, call_id: str, tool_name: str, arguments: Mapping[str, Any]
) -> Change | None:
    """Give what a call would write; None for a call that writes no file."""
    if tool_name not in DOCUMENT_TOOLS:
        return None
    path = str(arguments.get("path", ""))
    if tool_name == EDIT_FILE.name:
        return _compared(path, "quoted", str(arguments.get("old", "")), str(arguments.get("new", "")))
    known = await known_file(tx, session_id, arguments, before=call_id)
    against, old = _text_of(known.call) if known.call is not None else ("nothing", "")
    return _compared(path, against, old, str(arguments.get("content", "")))


def _text_of(record: CallRecord) -> tuple[Against, str]:
    if record.tool_name == WRITE_FILE.name:
        written = record.edited_arguments or record.arguments
        return "last_write", str(written.get("content", ""))
    told = record.result.get("content") if isinstance(record.result, dict) else None
    return ("last_read", told) if isinstance(told, str) else ("nothing", "")


def _compared(path: str, against: Against, old: str, new: str) -> Change:
    if len(old) + len(new) > MAX_CHARS:
        against, old = "nothing", ""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=3, lineterm="")
    shown = list(islice(lines, 2, MAX_LINES + 3))
    return Change(path, against, shown[:MAX_LINES], len(shown) > MAX_LINES)
