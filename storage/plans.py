"""The plans table: every version of a session's plans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from storage.clock import stamp
from storage.columns import read
from storage.database import Transaction


@dataclass(frozen=True)
class PlanRecord:
    """One plan; `summary` in the form of the wire."""

    plan_id: str
    call_id: str
    summary: dict[str, Any]
    status: str
    replaces: str | None
    created_at: str


async def add(tx: Transaction, session_id: str, call_id: str, summary: dict[str, Any], replaces: str | None) -> None:
    """Store a new plan, once; the plan that it replaces is superseded."""
    await tx.run(
        "add_plan",
        plan_id=summary["plan_id"],
        session_id=session_id,
        call_id=call_id,
        summary=json.dumps(summary, ensure_ascii=False),
        replaces=replaces,
        now=stamp(),
    )
    if replaces:
        await set_status(tx, replaces, "superseded")


async def find(tx: Transaction, session_id: str, plan_id: str) -> PlanRecord | None:
    """One plan of a session."""
    row = await tx.row("find_plan", session_id=session_id, plan_id=plan_id)
    return read(PlanRecord, row) if row else None


async def active(tx: Transaction, session_id: str) -> PlanRecord | None:
    """The plan that waits or executes."""
    row = await tx.row("active_plan", session_id=session_id)
    return read(PlanRecord, row) if row else None


async def set_status(tx: Transaction, plan_id: str, status: str) -> None:
    """Move a plan on."""
    await tx.run("set_plan_status", plan_id=plan_id, status=status, now=stamp())


async def set_summary(tx: Transaction, summary: dict[str, Any]) -> None:
    """Store how far a plan has come."""
    written = json.dumps(summary, ensure_ascii=False)
    await tx.run("set_plan_summary", plan_id=summary["plan_id"], summary=written, status=summary["status"], now=stamp())
