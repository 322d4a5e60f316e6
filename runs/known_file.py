"""What the client told of a file in this session: its last whole read or write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.roster import DOCUMENT_TOOLS
from policy.decide import Environment
from policy.paths.canonical import canonicalise
from policy.verdicts.unproven import Unproven
from storage.database import Transaction
from storage.tables import calls, sessions
from storage.tables.calls import CallRecord
from tools.catalog import TOOLS

_READERS = frozenset(tool.name for tool in TOOLS if tool.access == "read" and tool.paths == {"path": "file"})


@dataclass(frozen=True)
class KnownFile:
    """Whether the session has touched a path at all, and the last call that read or wrote the whole of it."""

    is_known: bool
    call: CallRecord | None = None


async def known_file(
    tx: Transaction, session_id: str, arguments: Mapping[str, Any], *, before: str | None = None
) -> KnownFile:
    """Look for the newest finished call on the path of these arguments, or for the newest before a finished call."""
    session = await sessions.find_any(tx, session_id)
    workspace_root = Environment.read(session.environment if session else None).workspace_root
    path = _canonical(arguments, workspace_root)
    is_known = False
    finished = await calls.done_calls(tx, session_id)
    place = next((i for i, done in enumerate(finished) if done.call_id == before), -1)
    for done in finished[place + 1 :]:
        if done.tool_name not in _READERS | DOCUMENT_TOOLS or _canonical(done.arguments, workspace_root) != path:
            continue
        is_known = True
        if done.tool_name in DOCUMENT_TOOLS or _is_whole(done.arguments):
            return KnownFile(is_known=True, call=await calls.find(tx, session_id, done.call_id))
    return KnownFile(is_known)


def _is_whole(arguments: Mapping[str, Any]) -> bool:
    return arguments.get("start_line", 1) == 1 and arguments.get("end_line") is None


def _canonical(arguments: Mapping[str, Any], workspace_root: str | None) -> str:
    path = str(arguments.get("path"))
    try:
        return canonicalise(path, "file", workspace_root).text
    except Unproven:
        return path
