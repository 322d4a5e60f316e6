"""The end of what is open in a session without a result: a new message, a switch, a cancel, an expiry.

Scenarios such as S13: docs/scenarios.md.
"""

from __future__ import annotations

from dataclasses import replace

from runs.decision.contract import NO_USAGE, AgentChange, Effects, RunEnd
from runs.thread import tool_record
from storage.session_state import SessionState
from storage.tables.audit import AuditEntry
from storage.tables.calls import CallRecord, CallState, EndedBy
from storage.tables.plans import PlanRecord
from storage.tables.sessions import Session
from wire.chunks import done_chunk
from wire.protocol import error_chunk

CANCELLED = "The run was cancelled."
EXPIRED = "Nobody approved the call in time."
_CALL_ENDS: dict[EndedBy, tuple[CallState, CallState]] = {
    "message": ("superseded", "failed"),
    "cancel": ("cancelled", "cancelled"),
    "expiry": ("expired", "failed"),
}
"""The state of a call that was pending, and of one whose result was awaited."""
_RUN_ENDS: dict[EndedBy, RunEnd] = {
    "message": RunEnd("cancelled", "superseded"),
    "cancel": RunEnd("cancelled", "cancelled"),
    "expiry": RunEnd("failed", "approval_expired"),
}
_PLAN_ENDS: dict[EndedBy, str] = {"message": "superseded", "cancel": "cancelled", "expiry": "superseded"}


def end_round(view: SessionState, ended_by: EndedBy, now: str) -> Effects:
    """End the paused run: settle its open calls, write the tool message of every call of its round (S13)."""
    assert view.session is not None, "a run belongs to a session"
    assert view.run is not None, "only a paused run has a round"
    round_now = tuple(_ended(record, ended_by, now) if record.is_open else record for record in view.round)
    changed = tuple(record for record in round_now if record not in view.round)
    entries = tuple(
        AuditEntry(
            "call_superseded",
            actor="user",
            call_id=record.call_id,
            tool_name=record.tool_name,
            details={"by": ended_by},
            run_id=view.run.id,
            at=now,
        )
        for record in changed
        if ended_by == "message"
    )
    plan, agent = end_plan(view.session, view.plan, _PLAN_ENDS[ended_by])
    return Effects(
        calls=changed,
        messages=tuple(replace(tool_record(record), run_id=view.run.id) for record in round_now if record.is_tool_call),
        audit=entries,
        plan=plan,
        agent=agent,
        ends_run=_RUN_ENDS[ended_by],
    )


def _ended(record: CallRecord, ended_by: EndedBy, now: str) -> CallRecord:
    is_pending = record.state == "pending"
    state = _CALL_ENDS[ended_by][0 if is_pending else 1]
    return replace(record, state=state, undecided=is_pending, ended_by=ended_by, settled_at=now)


def end_plan(session: Session, plan: PlanRecord | None, status: str) -> tuple[PlanRecord | None, AgentChange | None]:
    """End the plan that waits or executes; the orchestrator is current again unless the user chose the agent (S23)."""
    if plan is None or plan.status not in ("draft", "executing"):
        return None, None
    left = {"running": "failed", "pending": "skipped"} if plan.status == "executing" else {}
    subtasks = [{**s, "status": left.get(s["status"], s["status"])} for s in plan.summary["subtasks"]]
    final = "cancelled" if plan.status == "executing" else status
    agent = None if session.agent_chosen_by == "user" else AgentChange("orchestrator", "router", 0)
    return replace(plan, status=final, summary={**plan.summary, "subtasks": subtasks}), agent


def cancel(view: SessionState, now: str) -> Effects:
    """Stop what the session does or waits for (S26); a running run is stopped by its worker."""
    if view.run is None:
        return Effects()
    if view.run.status == "running":
        return Effects(cancels_run=True)
    left = end_round(view, "cancel", now)
    return replace(
        left,
        audit=(*left.audit, AuditEntry("cancelled", actor="user", run_id=view.run.id, at=now)),
        chunks=(error_chunk("cancelled", CANCELLED), done_chunk("cancelled", NO_USAGE)),
        request_id=view.run.request_id,
    )


def expire(view: SessionState, now: str) -> Effects:
    """Expire the overdue calls; when nothing else is open, the turn ends and no model is called (S27)."""
    overdue = view.overdue_calls(now)
    if not overdue or view.run is None:
        return Effects()
    expired = tuple(_ended(record, "expiry", now) for record in overdue)
    entries = tuple(
        AuditEntry(
            "approval_expired",
            actor="clock",
            call_id=record.call_id,
            tool_name=record.tool_name,
            run_id=view.run.id,
            at=now,
        )
        for record in expired
    )
    if len(overdue) < len(view.open_calls):
        return Effects(calls=expired, audit=entries)
    left = end_round(view, "expiry", now)
    told = error_chunk("approval_expired", EXPIRED, call_id=expired[0].call_id, tool_name=expired[0].tool_name)
    return replace(
        left,
        audit=(*entries, *left.audit),
        chunks=(told, done_chunk("failed", NO_USAGE)),
        request_id=view.run.request_id,
    )
