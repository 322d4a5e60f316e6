"""The session_rules table: what a session remembers to allow (policy section 4.7)."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from storage.clock import stamp
from storage.columns import read
from storage.database import Transaction


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
    """What the session remembers, oldest first."""
    return [read(SessionRule, row) for row in await tx.rows("list_rules", session_id=session_id)]


async def add(tx: Transaction, session_id: str, tool_name: str, label: str, rule: dict[str, Any], call_id: str) -> str:
    """Remember a grant; returns its id."""
    rule_id = uuid.uuid4().hex
    await tx.run(
        "add_rule",
        rule_id=rule_id,
        session_id=session_id,
        tool_name=tool_name,
        label=label,
        rule=json.dumps(rule, ensure_ascii=False),
        call_id=call_id,
        now=stamp(),
    )
    return rule_id


async def remove(tx: Transaction, session_id: str, rule_id: str | None) -> int:
    """Revoke one grant, or all of a session; how many there were."""
    if rule_id is None:
        return await tx.run("remove_rules", session_id=session_id)
    return await tx.run("remove_rule", session_id=session_id, rule_id=rule_id)
