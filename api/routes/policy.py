"""`POST /policy/check`: what the policy would say, and why (docs/policy.md)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from agents.roster import ROSTER
from api.dependencies import JsonRoute, OpenEngine, Owner, check_session_id, refusals
from errors import AgentUnknown
from json_text import storable
from policy.decide import Call, Environment, Facts, decide
from storage.tables import rules, sessions
from wire.rest.policy import PolicyCheck, PolicyVerdict
from wire.text import quoted

router = APIRouter(route_class=JsonRoute)


@router.post("/policy/check", responses=refusals(400, 404, 413, 415, 503))
async def check(
    body: PolicyCheck,
    engine: OpenEngine,
    owner: Owner,
) -> PolicyVerdict:
    """Judge a call without making it; nothing is stored."""
    agent = ROSTER.get(body.agent)
    if agent is None:
        raise AgentUnknown(f"Invalid agent: {quoted(storable(body.agent))}")
    environment = body.environment.model_dump(exclude_none=True) if body.environment else None
    remembered: tuple[Any, ...] = ()
    if body.session_id is not None:
        async with engine.database.autocommit() as tx:
            session = await sessions.find(tx, check_session_id(body.session_id), owner)
            remembered = tuple(rule.rule for rule in await rules.listing(tx, session.id))
        environment = environment or session.environment
    facts = Facts(environment=Environment.read(environment), session_rules=remembered)
    verdict = decide(Call(body.tool, body.arguments), agent.rights(agent.tools), facts, engine.rules)
    return PolicyVerdict.model_validate(verdict.as_wire())
