"""What a client sends about an open call or plan: its result, or the user's decision (S4-S12, S20-S22)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from errors import AgentRuntimeError, ApprovalRequired, CallUnknown, DecisionInvalid
from runs.decisions import (
    decide_call,
    decide_plan,
    edit_refused,
    find_plan_call,
    plan_status,
    settled_error,
)
from runs.drive.claim import Claim, Ticket, begin, reply, resume_turn
from runs.drive.close import waits_for
from runs.engine import Engine
from runs.keep.housekeeping import expire_in
from storage import audit, calls, runs, sessions
from storage.audit import AuditEntry
from storage.calls import CallRecord
from storage.database import Transaction
from storage.sessions import Session
from wire.protocol import Chunk, HitlDecision, PlanDecision, Status, ToolResult, error_chunk

PLAN_PREFIX = "plan-approval-"
Taken = TypeVar("Taken")


@dataclass(frozen=True)
class Outcome:
    """What a decision came to: its place in the log, and for the REST twin its figures."""

    ticket: Ticket
    body: dict[str, Any]


class _Overdue(Exception):
    """The call's time is over: it expires first, then the request is answered."""


async def _expired_first(engine: Engine, session_id: str, take: Callable[[], Awaitable[Taken]]) -> Taken:
    """Nobody decides after the deadline, whether or not the clock of some instance came to it first (S27)."""
    try:
        return await take()
    except _Overdue:
        await expire_in(engine, session_id)
        return await take()


async def take_result(engine: Engine, session_id: str, owner: str, message: ToolResult, version: int) -> Ticket:
    """Accept the result of a call, once; the last one of a round lets its run go on."""
    return await _expired_first(engine, session_id, lambda: _take_result(engine, session_id, owner, message, version))


async def _take_result(engine: Engine, session_id: str, owner: str, message: ToolResult, version: int) -> Ticket:
    refused: AgentRuntimeError | None = None
    async with engine.database.transaction() as tx:
        session = await sessions.find(tx, session_id, owner, lock=True)
        call_id = message.call_id or ""
        record = await _find_call(tx, session, call_id)
        if record.is_overdue:
            raise _Overdue
        if record.kind == "plan_review" and record.state == "pending":
            claim = await reply(tx, session, [_plan_needs_decision(call_id)], "awaiting_plan")
        elif not record.is_open:
            claim = await _late(tx, session, record)
        elif record.state == "pending" and engine.settings.approval_mode == "strict":
            await audit.append(tx, session.id, [_entry("approval_required", record, "client")])
            refused = ApprovalRequired()
        else:
            claim = await _accept(engine, tx, session, record, message, version)
    if refused is not None:
        raise refused
    return await begin(engine, claim)


async def take_decision(
    engine: Engine, session_id: str, owner: str, message: HitlDecision, version: int, *, refusal_as_chunk: bool
) -> Outcome:
    """Take a decision on a call; a refused edit is an error chunk, or raised for the REST twin."""
    return await _expired_first(
        engine,
        session_id,
        lambda: _take_decision(engine, session_id, owner, message, version, refusal_as_chunk=refusal_as_chunk),
    )


async def _take_decision(
    engine: Engine, session_id: str, owner: str, message: HitlDecision, version: int, *, refusal_as_chunk: bool
) -> Outcome:
    invalid: DecisionInvalid | None = None
    async with engine.database.transaction() as tx:
        session = await sessions.find(tx, session_id, owner, lock=True)
        record = await calls.find(tx, session_id, message.call_id or "")
        if record is not None and record.is_overdue:
            raise _Overdue
        try:
            decided = await decide_call(engine, tx, session, record, message)
        except DecisionInvalid as error:
            invalid = error
            await edit_refused(tx, error.details["record"], error.message)
            told = {"call_id": error.details["record"].call_id, "tool_name": error.details["record"].tool_name}
            chunk = error_chunk(error.code, error.message, **told)
            claim = await reply(tx, session, [chunk], "awaiting_approval")
            body: dict[str, Any] = {}
        else:
            claim = await _after_decision(engine, tx, session, decided, version)
            body = {
                "call_id": decided.record.call_id,
                "tool_name": decided.record.tool_name,
                "decision": decided.decision,
                "status": decided.status,
                "remembered": decided.remembered,
                "continuing": claim.run is not None,
            }
    ticket = await begin(engine, claim)
    if invalid is not None and not refusal_as_chunk:
        raise invalid
    return Outcome(ticket, body)


async def take_plan_decision(
    engine: Engine, session_id: str, owner: str, message: PlanDecision, version: int
) -> Outcome:
    """Take a decision on a plan; its run goes on."""
    return await _expired_first(
        engine, session_id, lambda: _take_plan_decision(engine, session_id, owner, message, version)
    )


async def _take_plan_decision(
    engine: Engine, session_id: str, owner: str, message: PlanDecision, version: int
) -> Outcome:
    decision = message.decision or ""
    async with engine.database.transaction() as tx:
        session = await sessions.find(tx, session_id, owner, lock=True)
        record = await find_plan_call(tx, session_id, message.approval_request_id or "")
        if record.is_overdue:
            raise _Overdue
        if record.state == "pending":
            chunk = await decide_plan(tx, record, decision, message.feedback, via="decision")
            paused = await runs.active(tx, session_id)
            assert paused is not None, "a pending plan belongs to a paused run"
            claim = await resume_turn(engine, tx, session, paused, version, [chunk])
        elif record.decision == decision:
            final = plan_status(record.verdict["plan_id"], decision).model_copy(update={"is_final": True})
            claim = await reply(tx, session, [final], waits_for(await calls.open_calls(tx, session_id)))
        else:
            raise settled_error(record)
    statuses = {"approve": "approved", "reject": "rejected", "modify": "modification_requested"}
    body = {
        "call_id": message.approval_request_id,
        "tool_name": "create_plan",
        "decision": decision,
        "status": statuses[decision],
        "remembered": False,
        "continuing": claim.run is not None,
    }
    return Outcome(await begin(engine, claim), body)


async def _find_call(tx: Transaction, session: Session, call_id: str) -> CallRecord:
    if call_id.startswith(PLAN_PREFIX):
        return await find_plan_call(tx, session.id, call_id)
    record = await calls.find(tx, session.id, call_id)
    if record is None or record.kind in ("question", "switch"):
        raise CallUnknown(f"Call {call_id} not found in this session")
    return record


async def _accept(
    engine: Engine, tx: Transaction, session: Session, record: CallRecord, message: ToolResult, version: int
) -> Claim:
    error = message.error or None
    if record.state == "pending":
        await calls.record_implicit(tx, record, message.result, error)
        details = {"decision": "reject" if error else "approve", "danger": record.verdict.get("danger")}
        await audit.append(tx, session.id, [_entry("approval_implicit", record, "client", details)])
    else:
        await calls.record_result(tx, record, message.result, error)
    remaining = await calls.open_calls(tx, session.id)
    if remaining:
        recorded = _status("result_recorded", record, "The result was recorded.")
        recorded.metadata["open_calls"] = [r.call_id for r in remaining]
        return await reply(tx, session, [recorded], waits_for(remaining))
    return await _go_on(engine, tx, session, version)


async def _go_on(
    engine: Engine, tx: Transaction, session: Session, version: int, chunks: tuple[Chunk, ...] = ()
) -> Claim:
    """Resume the run whose last open call was settled just now."""
    paused = await runs.active(tx, session.id)
    assert paused is not None, "an open call belongs to a paused run"
    return await resume_turn(engine, tx, session, paused, version, chunks)


async def _after_decision(engine: Engine, tx: Transaction, session: Session, decided: Any, version: int) -> Claim:
    """A rejection that settles the round lets the agent go on; any other decision only confirms (S5, S8, S10)."""
    remaining = await calls.open_calls(tx, session.id)
    if decided.is_new and decided.decision == "reject" and not remaining:
        return await _go_on(engine, tx, session, version, (decided.chunk(is_final=False),))
    return await reply(tx, session, [decided.chunk(is_final=True)], waits_for(remaining))


async def _late(tx: Transaction, session: Session, record: CallRecord) -> Claim:
    """A result for a settled call changes nothing (S11)."""
    await audit.append(tx, session.id, [_entry("late_result", record, "client", {"state": record.state})])
    settled = _status("already_settled", record, f"This call is {record.state} already; nothing was changed.")
    settled.metadata["state"] = record.state
    return await reply(tx, session, [settled], waits_for(await calls.open_calls(tx, session.id)))


def _plan_needs_decision(call_id: str) -> Status:
    metadata = {"call_id": call_id, "tool_name": "create_plan", "status": "plan_decision_required"}
    return Status(content="A plan is decided with plan_decision, not with a result.", is_final=True, metadata=metadata)


def _status(status: str, record: CallRecord, sentence: str) -> Status:
    metadata = {"call_id": record.call_id, "tool_name": record.tool_name, "status": status}
    return Status(content=sentence, is_final=True, metadata=metadata)


def _entry(event: Any, record: CallRecord, actor: str, details: dict[str, Any] | None = None) -> AuditEntry:
    return AuditEntry(
        event,
        actor=actor,
        agent=record.agent,
        call_id=record.call_id,
        tool_name=record.tool_name,
        details=details or {},
        run_id=record.run_id,
    )
