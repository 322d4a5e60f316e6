"""The plans table: every version of a session's plans; the status of a plan is stored in its column only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage.database import Transaction, Writer, stamp
from storage.tables.columns import read


@dataclass(frozen=True)
class PlanRecord:
    """One plan; `summary` is the form of the wire without the status."""

    plan_id: str
    call_id: str
    summary: dict[str, Any]
    status: str
    replaces: str | None
    created_at: str

    def shown(self) -> dict[str, Any]:
        """The plan in the form of the wire (docs/protocol.md, Chunks)."""
        return {**self.summary, "status": self.status}


def _written(summary: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in summary.items() if key != "status"}
    return json.dumps(kept, ensure_ascii=False)


async def add(tx: Transaction, session_id: str, call_id: str, summary: Mapping[str, Any], replaces: str | None) -> None:
    """Store a new plan (a summary in the form of the wire), once; the plan that it replaces is superseded."""
    await tx.run(
        "add_plan",
        plan_id=summary["plan_id"],
        session_id=session_id,
        call_id=call_id,
        summary=_written(summary),
        replaces=replaces,
        now=stamp(),
    )
    if replaces:
        await tx.run("set_plan_status", plan_id=replaces, status="superseded", now=stamp())


async def find(tx: Transaction, session_id: str, plan_id: str) -> PlanRecord | None:
    """Return one plan of a session."""
    row = await tx.row("find_plan", session_id=session_id, plan_id=plan_id)
    return read(PlanRecord, row) if row else None


async def active(tx: Transaction, session_id: str) -> PlanRecord | None:
    """Return the plan that waits or executes."""
    row = await tx.row("active_plan", session_id=session_id)
    return read(PlanRecord, row) if row else None


async def store(tx: Writer, session_id: str, plan_id: str, summary: Mapping[str, Any], status: str) -> None:
    """Store the progress of a plan."""
    row = {"plan_id": plan_id, "summary": _written(summary), "status": status, "updated_at": stamp()}
    await tx.run("move_plans", session_id=session_id, rows=json.dumps([row]))
