"""`POST /policy/check`: what the policy would say, and why (policy section 8)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api.auth import owner_of
from api.parts import engine_of, refusals
from errors import AgentUnknown
from nodes.roster import ROSTER
from policy.decide import Call, Environment, Facts, decide
from runs.engine import Engine
from storage import rules, sessions
from wire.protocol import check_session_id
from wire.resources import PolicyCheck

router = APIRouter()


@router.post("/policy/check", responses=refusals(400, 404, 413, 415, 503))
async def check(
    body: PolicyCheck,
    engine: Annotated[Engine, Depends(engine_of)],
    owner: Annotated[str, Depends(owner_of)],
) -> dict[str, Any]:
    """Judge a call without making it; nothing is stored."""
    agent = ROSTER.get(body.agent)
    if agent is None:
        raise AgentUnknown(f"Invalid agent: {body.agent}")
    environment = body.environment
    remembered: tuple[Any, ...] = ()
    if body.session_id is not None:
        async with engine.database.autocommit() as tx:
            session = await sessions.find(tx, check_session_id(body.session_id), owner)
            remembered = tuple(rule.rule for rule in await rules.listing(tx, session.id))
        environment = environment or session.environment
    facts = Facts(environment=Environment.read(environment), session_rules=remembered)
    return decide(Call(body.tool, body.arguments), agent.rights(agent.tools), facts, engine.rules).as_wire()
