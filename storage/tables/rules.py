"""The session_rules table: the grants that a session remembers (docs/policy.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.database import Transaction, Writer
from storage.tables.columns import read, stored


@dataclass(frozen=True)
class SessionRule:
    """One remembered grant."""

    id: str
    tool_name: str
    label: str
    rule: dict[str, Any]
    created_at: str
    call_id: str


async def listing(tx: Transaction, session_id: str) -> list[SessionRule]:
    """Return the grants of the session, oldest first."""
    return [read(SessionRule, row) for row in await tx.rows("list_rules", session_id=session_id)]


async def add(tx: Writer, session_id: str, rules: Sequence[SessionRule]) -> None:
    """Add grants."""
    rows = [{"session_id": session_id, **stored(SessionRule, vars(rule))} for rule in rules]
    await tx.run("insert_rules", rows=json.dumps(rows))


async def remove(tx: Transaction, session_id: str, rule_id: str | None) -> int:
    """Delete one grant, or all of a session; returns their number."""
    if rule_id is None:
        return await tx.run("remove_rules", session_id=session_id)
    return await tx.run("remove_rule", session_id=session_id, rule_id=rule_id)
