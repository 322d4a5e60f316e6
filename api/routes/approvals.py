"""Approvals, audit and remembered rules of a session (protocol section 6)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.dependencies import CallId, OpenEngine, Owner, SessionId, check_page, refusals
from api.json_body import JsonRoute
from errors import AgentRuntimeError
from runs.decision.view import Request
from runs.engine import Engine
from runs.requests import take
from storage.tables import audit, calls, plans, rules, sessions
from storage.tables.audit import AuditEntry
from storage.tables.calls import CallRecord
from storage.tables.plans import PlanRecord
from tools.create_plan import CREATE_PLAN
from wire.chunks import PLAN_APPROVAL, plan_approval_id
from wire.protocol import HitlDecision, PlanDecision
from wire.rest.approvals import AuditPage, DecisionRequest, DecisionTaken, PendingApprovals, RuleList, RulesRemoved

router = APIRouter(route_class=JsonRoute)
PLAN_REASON = "Complex plan requires user approval before execution"


class RuleUnknown(AgentRuntimeError):
    """No such rule in this session."""

    code = "rule_unknown"
    status = 404


@router.get("/sessions/{session_id}/pending-approvals", responses=refusals(404, 503))
async def pending_approvals(session_id: SessionId, engine: OpenEngine, owner: Owner) -> PendingApprovals:
    """Show everything that waits for a decision."""
    async with engine.database.autocommit() as tx:
        await sessions.find(tx, session_id, owner)
        waiting = [r for r in await calls.open_calls(tx, session_id) if r.state == "pending"]
        plan = await plans.active(tx, session_id) if any(r.kind == "plan_review" for r in waiting) else None
    rows = [_plan_row(r, plan) if plan is not None and r.plan_id == plan.plan_id else _tool_row(r) for r in waiting]
    return PendingApprovals.model_validate({"session_id": session_id, "pending_approvals": rows, "count": len(rows)})


@router.post("/sessions/{session_id}/approvals/{call_id:path}", responses=refusals(400, 404, 409, 413, 415, 503))
async def decide(
    session_id: SessionId, call_id: CallId, body: DecisionRequest, engine: OpenEngine, owner: Owner
) -> DecisionTaken:
    """Decide a call or a plan; with `continuing` a run goes on, to be read from the stream endpoint."""
    fields = body.model_dump()
    decision: PlanDecision | HitlDecision
    if call_id.startswith(PLAN_APPROVAL):
        told = {key: fields[key] for key in ("decision", "feedback")}
        decision = PlanDecision.model_validate({"approval_request_id": call_id, **told}).checked()
    else:
        decision = HitlDecision.model_validate({"call_id": call_id, **fields}).checked()
    taken = await take(engine, Request(session_id, decision, owner))
    if taken.effects.refusal is not None:
        raise taken.effects.refusal
    assert taken.effects.confirmation is not None, "a decision that is not refused stands"
    return DecisionTaken(**vars(taken.effects.confirmation), continuing=taken.is_running)


@router.get("/sessions/{session_id}/audit", responses=refusals(400, 404, 503))
async def session_audit(
    session_id: SessionId, engine: OpenEngine, owner: Owner, limit: int = 100, offset: int = 0
) -> AuditPage:
    """Show who decided what in a session, oldest first."""
    limit, offset = check_page(limit, offset)
    async with engine.database.autocommit() as tx:
        await sessions.find(tx, session_id, owner)
        entries = await audit.listing(tx, session_id, limit, offset)
        total = await audit.count(tx, session_id)
    return AuditPage.model_validate({"session_id": session_id, "entries": entries, "total": total})


@router.get("/sessions/{session_id}/rules", responses=refusals(404, 503))
async def list_rules(session_id: SessionId, engine: OpenEngine, owner: Owner) -> RuleList:
    """Show what the session remembers to allow."""
    async with engine.database.autocommit() as tx:
        await sessions.find(tx, session_id, owner)
        found = await rules.listing(tx, session_id)
    rows = [vars(rule) for rule in found]
    return RuleList.model_validate({"session_id": session_id, "rules": rows, "count": len(rows)})


@router.delete("/sessions/{session_id}/rules", responses=refusals(404, 503))
async def remove_rules(session_id: SessionId, engine: OpenEngine, owner: Owner) -> RulesRemoved:
    """Revoke everything that the session remembers."""
    return await _remove(engine, session_id, owner, None)


@router.delete("/sessions/{session_id}/rules/{rule_id}", responses=refusals(404, 503))
async def remove_rule(session_id: SessionId, rule_id: CallId, engine: OpenEngine, owner: Owner) -> RulesRemoved:
    """Revoke one rule."""
    return await _remove(engine, session_id, owner, rule_id)


async def _remove(engine: Engine, session_id: str, owner: str, rule_id: str | None) -> RulesRemoved:
    async with engine.database.transaction() as tx:
        await sessions.find(tx, session_id, owner, lock=True)
        removed = await rules.remove(tx, session_id, rule_id)
        if rule_id is not None and not removed:
            raise RuleUnknown(f"Rule {rule_id} not found in this session")
        if removed:
            details = {"rule_id": rule_id, "removed": removed}
            await audit.append(tx, session_id, [AuditEntry("rule_removed", actor="user", details=details)])
    return RulesRemoved(removed=removed)


def _tool_row(record: CallRecord) -> dict[str, Any]:
    verdict = record.verdict
    explained = {key: verdict.get(key) for key in ("danger", "reasons", "segments", "remember_options")}
    return {
        "request_id": record.call_id,
        "request_type": "tool",
        "subject": record.tool_name,
        "details": {"arguments": record.arguments, **explained},
        "reason": verdict["ask_reason"],
        "created_at": record.created_at,
        "call_id": record.call_id,
        "tool_name": record.tool_name,
        "arguments": record.arguments,
        "digest": record.digest,
        "expires_at": record.expires_at,
    }


def _plan_row(record: CallRecord, plan: PlanRecord) -> dict[str, Any]:
    summary, request_id = plan.shown(), plan_approval_id(plan.plan_id)
    return {
        "request_id": request_id,
        "request_type": "plan",
        "subject": summary["title"],
        "details": summary,
        "reason": PLAN_REASON,
        "created_at": record.created_at,
        "call_id": request_id,
        "tool_name": CREATE_PLAN.name,
        "arguments": {},
        "digest": record.digest,
        "expires_at": record.expires_at,
    }
