"""The audit log: append-only, actor and action for each call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from storage.database import Transaction, Writer, stamp
from storage.tables.columns import read, stored

AuditEvent = Literal[
    "agent_switched",
    "verdict",
    "approval_decided",
    "approval_implicit",
    "approval_expired",
    "approval_required",
    "call_superseded",
    "late_result",
    "denial",
    "edit_refused",
    "plan_decided",
    "budget_decided",
    "rule_added",
    "rule_removed",
    "cancelled",
    "error",
]


@dataclass(frozen=True)
class AuditEntry:
    """One entry (docs/protocol.md, Endpoints)."""

    at: str = field(default_factory=stamp, kw_only=True)
    event: AuditEvent
    actor: str = "agent"
    run_id: str | None = field(default=None, kw_only=True)
    agent: str | None = None
    call_id: str | None = None
    tool_name: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


async def append(tx: Writer, session_id: str, entries: Sequence[AuditEntry], *, run_id: str | None = None) -> None:
    """Append entries in order."""
    rows = [
        {"session_id": session_id, **stored(AuditEntry, {**vars(entry), "run_id": entry.run_id or run_id})}
        for entry in entries
    ]
    await tx.run("insert_audit", rows=json.dumps(rows))


async def listing(tx: Transaction, session_id: str, limit: int, offset: int) -> list[dict[str, Any]]:
    """Return the entries of a session, oldest first."""
    rows = await tx.rows("list_audit", session_id=session_id, limit=limit, offset=offset)
    return [{"id": row.id, **vars(read(AuditEntry, row))} for row in rows]


async def switches(tx: Transaction, session_id: str) -> list[dict[str, Any]]:
    """Return every switch of agents: {from_agent, to_agent, reason, confidence, switched_at}, oldest first."""
    found = []
    for row in await tx.rows("switches", session_id=session_id):
        told = json.loads(row.details)
        found.append({key: told.get(key) for key in ("from_agent", "to_agent", "reason", "confidence")})
        found[-1]["switched_at"] = row.at
    return found


async def count(tx: Transaction, session_id: str) -> int:
    """Return the number of entries of a session."""
    return int(await tx.value("count_audit", session_id=session_id))
