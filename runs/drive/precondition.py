"""What a write presumes about its file (docs/protocol.md, `tool_call`): what the client told of it in this session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.roster import DOCUMENT_TOOLS
from policy.decide import Environment
from policy.paths.canonical import canonicalise
from policy.verdicts.unproven import Unproven
from storage.database import Transaction
from storage.tables import calls, sessions
from tools.catalog import TOOLS

_READERS = frozenset(tool.name for tool in TOOLS if tool.access == "read" and tool.paths == {"path": "file"})


async def precondition_of(
    tx: Transaction, session_id: str, tool_name: str, arguments: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Give the precondition of a call that writes a file, None for any other call.

    `{"must_not_exist": True}` when the session has neither read nor written the path; else `{"sha256": …}` as the
    client told it with its last whole read or write, None where it told none.
    """
    if tool_name not in DOCUMENT_TOOLS:
        return None
    session = await sessions.find_any(tx, session_id)
    workspace_root = Environment.read(session.environment if session else None).workspace_root
    path = _canonical(arguments, workspace_root)
    is_known = False
    for done in await calls.done_calls(tx, session_id):
        if done.tool_name not in _READERS | DOCUMENT_TOOLS or _canonical(done.arguments, workspace_root) != path:
            continue
        is_known = True
        if done.tool_name in DOCUMENT_TOOLS or _is_whole(done.arguments):
            record = await calls.find(tx, session_id, done.call_id)
            told = record.result.get("sha256") if record and isinstance(record.result, dict) else None
            return {"sha256": told if isinstance(told, str) else None}
    return {"sha256": None} if is_known else {"must_not_exist": True}


def _is_whole(arguments: Mapping[str, Any]) -> bool:
    return arguments.get("start_line", 1) == 1 and arguments.get("end_line") is None


def _canonical(arguments: Mapping[str, Any], workspace_root: str | None) -> str:
    path = str(arguments.get("path"))
    try:
        return canonicalise(path, "file", workspace_root).text
    except Unproven:
        return path
