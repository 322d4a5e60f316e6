"""The result of a call: accepted once; the last one of a round resumes its run (docs/scenarios.md S4, S6, S11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from errors import ApprovalRequired, ApprovalUnknown, CallUnknown
from runs.decision.contract import Effects, Request, Terms, answered, audited, resumed, round_with, waits_for
from storage.session_state import SessionState
from storage.tables.calls import QUESTIONS, CallRecord
from wire.chunks import PLAN_APPROVAL
from wire.protocol import Status, ToolResult

REJECTIONS = ("операция отклонена", "user rejected")
"""How the errors begin with which the original's IDE says that its user rejected a call (docs/scenarios.md S6)."""


def take_result(view: SessionState, request: Request, message: ToolResult, terms: Terms, now: str) -> Effects:
    """Accept the result of an open call; anything else only confirms how things stand."""
    record = _named(view, message.call_id or "")
    if record.kind == "plan_review" and record.state == "pending":
        return answered(request, [_plan_needs_decision(message.call_id or "")], "awaiting_plan")
    if not record.is_open:
        return _late(view, request, record, now)
    if record.state == "pending" and terms.is_strict:
        return Effects(audit=(audited("approval_required", record, now, actor="client"),), refusal=ApprovalRequired())
    return _accepted(view, request, record, message, now)


def _named(view: SessionState, call_id: str) -> CallRecord:
    if view.named is not None and view.named.kind not in QUESTIONS:
        return view.named
    if call_id.startswith(PLAN_APPROVAL):
        raise ApprovalUnknown(f"Approval request {call_id} not found in this session")
    raise CallUnknown(f"Call {call_id} not found in this session")


def _accepted(view: SessionState, request: Request, record: CallRecord, message: ToolResult, now: str) -> Effects:
    error = message.error or None
    settled = replace(record, state="failed" if error else "done", result=message.result, error=error, settled_at=now)
    noted = Effects(calls=(settled,))
    if record.state == "pending":
        # The client asked its user itself (S6).
        is_rejected = error is not None and error.strip().casefold().startswith(REJECTIONS)
        verb = "reject" if is_rejected else "approve"
        settled = replace(
            settled,
            state="rejected" if is_rejected else settled.state,
            decision=f"implicit_{verb}",
            decided_at=now,
            decided_by="client",
        )
        details = {"decision": verb, "danger": record.verdict.get("danger")}
        if not is_rejected:
            details["outcome"] = settled.state
        entry = audited("approval_implicit", record, now, actor="client", details=details)
        noted = Effects(calls=(settled,), audit=(entry,))
    round_now = round_with(view, settled)
    still_open = [r.call_id for r in round_now if r.is_open]
    if not still_open:
        return noted.then(resumed(request, round_now))
    recorded = _status("result_recorded", record, "The result was recorded.", open_calls=still_open)
    return noted.then(answered(request, [recorded], waits_for(round_now)))


def _late(view: SessionState, request: Request, record: CallRecord, now: str) -> Effects:
    """A result for a settled call changes nothing (S11)."""
    sentence = f"This call is {record.state} already; nothing was changed."
    told = _status("already_settled", record, sentence, state=record.state)
    entry = audited("late_result", record, now, actor="client", details={"state": record.state})
    return replace(answered(request, [told], waits_for(view.open_calls)), audit=(entry,))


def _plan_needs_decision(call_id: str) -> Status:
    metadata = {"call_id": call_id, "tool_name": "create_plan", "status": "plan_decision_required"}
    return Status(content="A plan is decided with plan_decision, not with a result.", is_final=True, metadata=metadata)


def _status(status: str, record: CallRecord, sentence: str, **told: Any) -> Status:
    metadata = {"call_id": record.call_id, "tool_name": record.tool_name, "status": status, **told}
    return Status(content=sentence, is_final=True, metadata=metadata)
