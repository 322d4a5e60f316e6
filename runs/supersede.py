"""Settling what is open in a session without a result: a new message, a switch, a cancel, an expiry (S13, S26, S27)."""

from __future__ import annotations

from runs.thread import tool_record
from storage import audit, calls, messages, plans, runs, sessions
from storage.audit import AuditEntry
from storage.calls import EndedBy
from storage.database import Transaction

_PLAN_ENDS: dict[EndedBy, str] = {"message": "superseded", "cancel": "cancelled", "expiry": "superseded"}


async def end_open_round(tx: Transaction, session_id: str, ended_by: EndedBy) -> list[str]:
    """Settle every open call of the paused run and write the tool message of every call of its round.

    The caller holds the session. Returns the ids of the calls that were open.
    """
    run = await runs.active(tx, session_id)
    ended = await calls.end_all(tx, session_id, ended_by)
    if run is not None:
        records = await calls.round_of(tx, run.id)
        await messages.append(tx, session_id, [tool_record(record) for record in records], run_id=run.id)
    entries = [
        AuditEntry("call_superseded", actor="user", call_id=call_id, tool_name=tool_name, details={"by": ended_by})
        for call_id, tool_name, _ in ended
        if ended_by == "message"
    ]
    await audit.append(tx, session_id, entries, run_id=run.id if run else None)
    await end_plan(tx, session_id, _PLAN_ENDS[ended_by])
    return [call_id for call_id, _, _ in ended]


async def end_plan(tx: Transaction, session_id: str, status: str) -> None:
    """End the plan that waits or executes; the orchestrator is current again if it had chosen the architect (S23)."""
    plan = await plans.active(tx, session_id)
    if plan is None:
        return
    final = "cancelled" if plan.status == "executing" else status
    left = {"running": "failed", "pending": "skipped"} if plan.status == "executing" else {}
    subtasks = [{**s, "status": left.get(s["status"], s["status"])} for s in plan.summary["subtasks"]]
    await plans.set_summary(tx, {**plan.summary, "status": final, "subtasks": subtasks})
    session = await sessions.find_any(tx, session_id)
    if session is not None and session.agent_chosen_by != "user":
        await sessions.set_agent(tx, session_id, "orchestrator", "router", switches=0)
