"""What a write presumes about its file (docs/protocol.md, `tool_call`): what the client told of it in this session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.roster import DOCUMENT_TOOLS
from runs.known_file import known_file
from storage.database import Transaction


async def precondition_of(
    tx: Transaction, session_id: str, tool_name: str, arguments: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Give the precondition of a call that writes a file, None for any other call.

    `{"must_not_exist": True}` when the session has neither read nor written the path; else `{"sha256": …}` as the
    client told it with its last whole read or write, None where it told none.
    """
    if tool_name not in DOCUMENT_TOOLS:
        return None
    known = await known_file(tx, session_id, arguments)
    if not known.is_known:
        return {"must_not_exist": True}
    told = known.call.result.get("sha256") if known.call and isinstance(known.call.result, dict) else None
    return {"sha256": told if isinstance(told, str) else None}
