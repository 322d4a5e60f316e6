"""Approvals, audit and remembered rules of a session (docs/protocol.md, Endpoints)."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import RestVia
from api.dependencies import CallId, JsonRoute, OpenEngine, Owner, SessionId, check_page, read_message, refusals
from errors import AgentRuntimeError
from runs.decision.contract import Request
from runs.engine import Engine
from runs.requests import take
from storage.tables import audit, rules, sessions
from storage.tables.audit import AuditEntry
from wire.chunks import PLAN_APPROVAL
from wire.rest.approvals import AuditPage, DecisionRequest, DecisionTaken, RuleList, RulesRemoved

router = APIRouter(route_class=JsonRoute)


class RuleUnknown(AgentRuntimeError):
    """No such rule in this session."""

    code = "rule_unknown"
    status = 404


@router.post("/sessions/{session_id}/approvals/{call_id:path}", responses=refusals(400, 404, 409, 413, 415, 503))
async def decide(
    session_id: SessionId, call_id: CallId, body: DecisionRequest, engine: OpenEngine, owner: Owner, via: RestVia
) -> DecisionTaken:
    """Decide a call or a plan; with `continuing` a run goes on, to be read from the stream endpoint."""
    if call_id.startswith(PLAN_APPROVAL):
        named = {"type": "plan_decision", "approval_request_id": call_id}
    else:
        named = {"type": "hitl_decision", "call_id": call_id}
    decision = read_message({**body.model_dump(), **named})
    taken = await take(engine, Request(session_id, decision, owner, via=via))
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
