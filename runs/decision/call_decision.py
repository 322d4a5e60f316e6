"""The user's decision on a call: taken once, then final (docs/scenarios.md S5, S7-S10)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.replies.edited_call import refusal_of_edit
from errors import ApprovalNotRequired, CallSettled, CallUnknown, DecisionInvalid, DigestMismatch
from json_text import storable
from policy.decide import Environment, Facts
from runs.decision.contract import (
    Confirmation,
    Effects,
    Request,
    Terms,
    answered,
    audited,
    resumed,
    round_with,
    waits_for,
)
from storage.session_state import SessionState
from storage.tables.audit import AuditEntry
from storage.tables.calls import CallRecord, CallState
from storage.tables.rules import SessionRule
from storage.tables.sessions import Session
from wire.protocol import HitlDecision, Status, error_chunk

_STATES: dict[str, CallState] = {"approve": "approved", "edit": "edited", "reject": "rejected"}
_STATUSES = {"approve": "approved", "edit": "approved_with_edits", "reject": "rejected"}
_SENTENCES = {
    "approve": "The call was approved.",
    "edit": "The call was approved with edited arguments.",
    "reject": "The call was rejected.",
}


def take_decision(
    view: SessionState, session: Session, request: Request, message: HitlDecision, terms: Terms, now: str
) -> Effects:
    """Take a decision on a pending call; a rejection that settles the round lets the agent go on (S8)."""
    record = view.named
    if record is None:
        raise CallUnknown(f"Call {message.call_id} not found in this session")
    if record.kind != "approval":
        raise ApprovalNotRequired
    if record.state != "pending":
        return _repeated(view, request, record, message)
    if message.digest is not None and message.digest != record.digest:
        raise DigestMismatch
    decision = message.decision or ""
    edited = storable(message.modified_arguments) if decision == "edit" else None
    if decision == "edit":
        facts = Facts(environment=Environment.read(session.environment))
        arguments = message.modified_arguments or {}
        refused = refusal_of_edit(record.tool_name, record.agent, arguments, facts, terms.rules)
        if refused is not None:
            return _keep_pending(request, record, refused, now)
    rule = _remembered(record, request, message, now) if decision == "approve" else None
    decided = replace(
        record,
        state=_STATES[decision],
        decision=decision,
        decided_at=now,
        decided_by="user",
        edited_arguments=edited,
        feedback=message.feedback,
        executor=message.executor,
        remembered=rule is not None,
        settled_at=now if decision == "reject" else None,
    )
    taken = Effects(
        calls=(decided,),
        rules=() if rule is None else (rule,),
        audit=(*_rule_entries(record, rule, now), _entry(decided, now)),
    )
    round_now = round_with(view, decided)
    if decision == "reject" and not any(r.is_open for r in round_now):
        goes_on = resumed(request, round_now, [_status(decided, is_final=False)])
    else:
        goes_on = answered(request, [_status(decided, is_final=True)], waits_for(round_now))
    return taken.then(replace(goes_on, confirmation=_confirmation(decided)))


def settled_error(record: CallRecord) -> CallSettled:
    """Say who decided what and when (S10)."""
    when = record.decided_at or record.settled_at
    if record.decided_by is None:
        return CallSettled(f"This call is {record.state} since {when}", state=record.state)
    who = "The user" if record.decided_by == "user" else "The client"
    return CallSettled(f"{who} decided '{record.decision}' on this call at {when}", state=record.state)


def _repeated(view: SessionState, request: Request, record: CallRecord, message: HitlDecision) -> Effects:
    """The same decision again gets the same answer; anything else is a conflict (S10)."""
    decision = message.decision or ""
    is_same = decision != "edit" or storable(message.modified_arguments) == record.edited_arguments
    if record.decision != decision or not is_same:
        raise settled_error(record)
    taken = Effects()
    if record.is_open and record.executor is None and message.executor is not None:
        # Decided where nothing can be run, such as over REST: the first client that repeats the decision runs the call.
        record = replace(record, executor=message.executor)
        taken = Effects(calls=(record,))
    answer = answered(request, [_status(record, is_final=True)], waits_for(view.open_calls))
    return taken.then(replace(answer, confirmation=_confirmation(record)))


def _keep_pending(request: Request, record: CallRecord, reason: str, now: str) -> Effects:
    """Refuse an edit; the approval stays pending."""
    error = DecisionInvalid(reason)
    chunk = error_chunk(error.code, reason, call_id=record.call_id, tool_name=record.tool_name)
    return replace(
        answered(request, [chunk], "awaiting_approval"),
        audit=(audited("edit_refused", record, now, actor="user", details={"reason": reason}),),
        refusal=error,
    )


def _remembered(record: CallRecord, request: Request, message: HitlDecision, now: str) -> SessionRule | None:
    """The chosen option as a rule of the session; with nothing to offer the approval still counts (S9)."""
    if message.remember != "session":
        return None
    options = record.verdict.get("remember_options") or []
    wanted = message.remember_option
    option = next((o for o in options if wanted is None or o["id"] == wanted), None)
    if option is None:
        return None
    return SessionRule(request.rule_id, record.tool_name, option["label"], option["rule"], now, record.call_id)


def _rule_entries(record: CallRecord, rule: SessionRule | None, now: str) -> tuple[AuditEntry, ...]:
    if rule is None:
        return ()
    details = {"rule_id": rule.id, "label": rule.label}
    return (
        AuditEntry(
            "rule_added", actor="user", call_id=record.call_id, tool_name=record.tool_name, details=details, at=now
        ),
    )


def _entry(decided: CallRecord, now: str) -> AuditEntry:
    details = {"decision": decided.decision, "danger": decided.verdict.get("danger"), "digest": decided.digest}
    told = {"feedback": decided.feedback, "arguments": decided.edited_arguments}
    details |= {key: value for key, value in told.items() if value}
    return audited("approval_decided", decided, now, actor="user", details=details)


def _confirmation(record: CallRecord) -> Confirmation:
    decision = record.decision or ""
    return Confirmation(record.call_id, record.tool_name, decision, _STATUSES[decision], record.remembered)


def _status(record: CallRecord, *, is_final: bool) -> Status:
    """The status chunk of a decision (S5)."""
    metadata: dict[str, Any] = vars(_confirmation(record)).copy()
    if record.decision == "edit":
        metadata["arguments"] = record.edited_arguments
    if record.executor is not None:
        metadata["executor"] = record.executor
    return Status(content=_SENTENCES[record.decision or ""], is_final=is_final, metadata=metadata)
