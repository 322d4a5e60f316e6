"""Decisions of the user on calls and plans: each taken once, repeated at will, never contradicted (S5-S10, S20-S24)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from agents.roster import ROSTER
from errors import (
    ApprovalNotRequired,
    ApprovalUnknown,
    CallSettled,
    CallUnknown,
    DecisionInvalid,
    DigestMismatch,
)
from json_text import storable
from policy.decide import Call, Environment, Facts, decide
from runs.engine import Engine
from storage import audit, calls, plans, rules
from storage.audit import AuditEntry
from storage.calls import CallRecord, CallState
from storage.database import Transaction
from storage.sessions import Session
from tools.catalog import BY_NAME
from wire.protocol import Chunk, HitlDecision, Status

_STATES: dict[str, CallState] = {"approve": "approved", "edit": "edited", "reject": "rejected"}
_STATUSES = {"approve": "approved", "edit": "approved_with_edits", "reject": "rejected"}
_SENTENCES = {
    "approve": "The call was approved.",
    "edit": "The call was approved with edited arguments.",
    "reject": "The call was rejected.",
}


@dataclass(frozen=True)
class Decided:
    """A decision that stands: what it says, and whether it was taken just now or is a repetition."""

    record: CallRecord
    decision: str
    status: str
    remembered: bool
    is_new: bool

    def chunk(self, *, is_final: bool) -> Status:
        """The status chunk of the decision (S5)."""
        metadata: dict[str, Any] = {
            "call_id": self.record.call_id,
            "tool_name": self.record.tool_name,
            "decision": self.decision,
            "status": self.status,
            "remembered": self.remembered,
        }
        if self.decision == "edit":
            metadata["arguments"] = self.record.edited_arguments
        return Status(content=_SENTENCES[self.decision], is_final=is_final, metadata=metadata)


async def decide_call(
    engine: Engine, tx: Transaction, session: Session, record: CallRecord | None, message: HitlDecision
) -> Decided:
    """Take a decision on a call; the caller holds the session. Raises the protocol's conflicts."""
    if record is None:
        raise CallUnknown(f"Call {message.call_id} not found in this session")
    if record.kind != "approval":
        raise ApprovalNotRequired
    decision = message.decision or ""
    if record.state != "pending":
        return _repeated(record, decision, message.modified_arguments)
    if message.digest is not None and message.digest != record.digest:
        raise DigestMismatch
    edited = storable(message.modified_arguments) if decision == "edit" else None
    if decision == "edit":
        _check_edit(engine, session, record, message.modified_arguments or {})
    remembered = await _remember(tx, record, message) if decision == "approve" else False
    taken = await calls.decide(
        tx,
        record,
        _STATES[decision],
        decision,
        by="user",
        edited_arguments=edited,
        feedback=message.feedback,
        remembered=remembered,
    )
    assert taken, "the session is held, so nobody else can have decided the call"
    details = {"decision": decision, "danger": record.verdict.get("danger"), "digest": record.digest}
    details |= {key: value for key, value in (("feedback", message.feedback), ("arguments", edited)) if value}
    entry = AuditEntry(
        "approval_decided",
        actor="user",
        agent=record.agent,
        call_id=record.call_id,
        tool_name=record.tool_name,
        details=details,
        run_id=record.run_id,
    )
    await audit.append(tx, session.id, [entry])
    now = await calls.find(tx, session.id, record.call_id)
    assert now is not None
    return Decided(now, decision, _STATUSES[decision], remembered, is_new=True)


def _repeated(record: CallRecord, decision: str, arguments: dict[str, Any] | None) -> Decided:
    """The same decision again gets the same answer; anything else is a conflict (S10)."""
    same_arguments = decision != "edit" or storable(arguments) == record.edited_arguments
    if record.decision == decision and same_arguments:
        return Decided(record, decision, _STATUSES[decision], record.remembered, is_new=False)
    raise settled_error(record)


def settled_error(record: CallRecord) -> CallSettled:
    """Say who decided what and when."""
    when = record.decided_at or record.settled_at
    if record.decided_by is None:
        return CallSettled(f"This call is {record.state} since {when}", state=record.state)
    who = "The user" if record.decided_by == "user" else "The client"
    return CallSettled(f"{who} decided '{record.decision}' on this call at {when}", state=record.state)


def _check_edit(engine: Engine, session: Session, record: CallRecord, arguments: dict[str, Any]) -> None:
    """Edited arguments pass the schema and the whole policy again; an ask is satisfied by the editor (S7)."""
    misfit = BY_NAME[record.tool_name].misfit(arguments)
    if misfit:
        raise DecisionInvalid(f"The edited arguments do not fit the tool: {misfit}", record=record)
    agent = ROSTER[record.agent]
    facts = Facts(environment=Environment.read(session.environment))
    verdict = decide(Call(record.tool_name, arguments), agent.rights(agent.tools), facts, engine.rules)
    if verdict.decision == "deny":
        reason = verdict.reasons[0].text
        raise DecisionInvalid(f"The edited arguments are not allowed: {reason}", record=record)


async def _remember(tx: Transaction, record: CallRecord, message: HitlDecision) -> bool:
    """Store the chosen option as a rule of the session; with nothing to offer the approval still counts (S9)."""
    if message.remember != "session":
        return False
    options = record.verdict.get("remember_options") or []
    wanted = message.remember_option
    option = next((o for o in options if wanted is None or o["id"] == wanted), None)
    if option is None:
        return False
    session_id = record.session_id
    rule_id = await rules.add(tx, session_id, record.tool_name, option["label"], option["rule"], record.call_id)
    entry = AuditEntry(
        "rule_added",
        actor="user",
        call_id=record.call_id,
        tool_name=record.tool_name,
        details={"rule_id": rule_id, "label": option["label"]},
    )
    await audit.append(tx, session_id, [entry])
    return True


async def edit_refused(tx: Transaction, record: CallRecord, reason: str) -> None:
    """Note that an edit was refused; the approval stays pending."""
    entry = AuditEntry(
        "edit_refused",
        actor="user",
        agent=record.agent,
        call_id=record.call_id,
        tool_name=record.tool_name,
        details={"reason": reason},
        run_id=record.run_id,
    )
    await audit.append(tx, record.session_id, [entry])


async def decide_plan(
    tx: Transaction, record: CallRecord, decision: str, feedback: str | None, *, via: Literal["decision", "message"]
) -> Chunk:
    """Take a decision on a pending plan; the caller holds the session and resumes its run."""
    plan_id = record.verdict["plan_id"]
    state: CallState = "rejected" if decision == "reject" else "done"
    taken = await calls.decide(tx, record, state, decision, by="user", feedback=feedback)
    assert taken, "the session is held, so nobody else can have decided the plan"
    statuses = {"approve": "executing", "reject": "rejected", "modify": "superseded"}
    await plans.set_status(tx, plan_id, statuses[decision])
    details = {"plan_id": plan_id, "decision": decision, "feedback": feedback, "via": via}
    entry = AuditEntry("plan_decided", actor="user", call_id=record.call_id, details=details, run_id=record.run_id)
    await audit.append(tx, record.session_id, [entry])
    return plan_status(plan_id, decision)


def plan_status(plan_id: str, decision: str) -> Status:
    """The chunk that confirms a decision on a plan (S20-S22)."""
    sentences = {
        "approve": "The plan was approved; its execution starts.",
        "reject": "The plan was rejected.",
        "modify": "The plan goes back to the architect.",
    }
    states = {"approve": "plan_execution", "reject": "idle", "modify": "architect_planning"}
    metadata = {"plan_id": plan_id, "decision": decision, "fsm_state": states[decision]}
    return Status(content=sentences[decision], metadata=metadata)


async def find_plan_call(tx: Transaction, session_id: str, request_id: str) -> CallRecord:
    """The record of a plan by its approval id, or ApprovalUnknown."""
    plan = await plans.find(tx, session_id, request_id.removeprefix("plan-approval-"))
    record = await calls.find(tx, session_id, plan.call_id) if plan else None
    if record is None or not request_id.startswith("plan-approval-"):
        raise ApprovalUnknown(f"Approval request {request_id} not found in this session")
    return record
