"""The user's decision on a plan: taken once, then final (docs/scenarios.md S10, S20-S24)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from errors import ApprovalUnknown
from runs.decision.call_decision import settled_error
from runs.decision.contract import Confirmation, Effects, Request, answered, resumed, round_with, waits_for
from storage.session_state import SessionState
from storage.tables.audit import AuditEntry
from storage.tables.calls import CallRecord
from wire.chunks import plan_approval_id
from wire.protocol import PlanDecision, Status

_STATUSES = {"approve": "approved", "reject": "rejected", "modify": "modification_requested"}
_PLAN_STATUSES = {"approve": "executing", "reject": "rejected", "modify": "superseded"}
_FSM_STATES = {"approve": "plan_execution", "reject": "idle", "modify": "architect_planning"}
_SENTENCES = {
    "approve": "The plan was approved; its execution starts.",
    "reject": "The plan was rejected.",
    "modify": "The plan goes back to the architect.",
}


def take_plan_decision(view: SessionState, request: Request, message: PlanDecision, now: str) -> Effects:
    """Take a decision on a pending plan; the same one again is confirmed, another one is a conflict."""
    record = view.named
    if record is None or record.plan_id is None:
        raise ApprovalUnknown(f"Approval request {message.approval_request_id} not found in this session")
    decision = message.decision or ""
    if record.state == "pending":
        named = replace(record, executor=message.executor)
        return decide_plan(view, request, named, decision, message.feedback, now, via="decision")
    if record.decision != decision:
        raise settled_error(record)
    status = _status(record, decision, is_final=True)
    return replace(
        answered(request, [status], waits_for(view.open_calls)), confirmation=_confirmation(record.plan_id, decision)
    )


def decide_plan(
    view: SessionState,
    request: Request,
    record: CallRecord,
    decision: str,
    feedback: str | None,
    now: str,
    *,
    via: Literal["decision", "message"],
) -> Effects:
    """Decide a pending plan and let its run go on."""
    assert record.plan_id is not None, "a plan review names its plan"
    assert view.plan is not None, "the plan of an open review is draft"
    settled = replace(
        record,
        state="rejected" if decision == "reject" else "done",
        decision=decision,
        decided_at=now,
        decided_by="user",
        feedback=feedback,
        settled_at=now,
    )
    details = {"plan_id": record.plan_id, "decision": decision, "feedback": feedback, "via": via}
    entry = AuditEntry(
        "plan_decided", actor="user", call_id=record.call_id, details=details, run_id=record.run_id, at=now
    )
    decided = Effects(calls=(settled,), plan=replace(view.plan, status=_PLAN_STATUSES[decision]), audit=(entry,))
    goes_on = resumed(request, round_with(view, settled), [_status(settled, decision)])
    return decided.then(replace(goes_on, confirmation=_confirmation(record.plan_id, decision)))


def _status(record: CallRecord, decision: str, *, is_final: bool = False) -> Status:
    metadata = {"plan_id": record.plan_id, "decision": decision, "fsm_state": _FSM_STATES[decision]}
    if record.executor is not None:
        metadata["executor"] = record.executor
    return Status(content=_SENTENCES[decision], is_final=is_final, metadata=metadata)


def _confirmation(plan_id: str, decision: str) -> Confirmation:
    return Confirmation(plan_approval_id(plan_id), "create_plan", decision, _STATUSES[decision])
