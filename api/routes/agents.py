"""The agents, and the current agent of a session (docs/protocol.md, Endpoints)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from agents.roster import agents_of
from api.dependencies import JsonRoute, OpenEngine, Owner, SessionId, known_session_id, refusals
from errors import SessionUnknown
from json_text import storable
from runs.decision.contract import ChooseAgent, Request
from runs.requests import take
from storage.database import Transaction
from storage.tables import audit, sessions
from tools.catalog import TOOLS
from wire.rest.agents import AgentContext, AgentList, SwitchRequest
from wire.text import quoted

router = APIRouter(route_class=JsonRoute)


@router.get("/agents")
async def list_agents(engine: OpenEngine) -> AgentList:
    """Show the agents of this mode."""
    agents = agents_of(multi_agent=engine.settings.multi_agent_mode)
    rows = [
        {
            "type": agent.name,
            "name": f"{agent.title} Agent",
            "description": agent.when,
            "allowed_tools": [tool.name for tool in TOOLS if tool.name in agent.tools and not tool.declared],
            "has_file_restrictions": agent.writes == "markdown",
        }
        for agent in agents
    ]
    return AgentList.model_validate({"agents": rows, "total": len(rows)})


@router.get("/agents/{session_id}/current", responses=refusals(404, 503))
async def current_agent(
    session_id: str, engine: OpenEngine, owner: Owner, include_history: bool = False
) -> AgentContext:
    """Show the current agent of a session."""
    try:
        known = known_session_id(session_id)
        async with engine.database.autocommit() as tx:
            return await _context(tx, known, owner, include_history=include_history)
    except SessionUnknown as error:
        raise SessionUnknown(f"Agent context for session {quoted(storable(session_id))} not found") from error


@router.post("/agents/{session_id}/switch", responses=refusals(400, 404, 409, 413, 415, 503))
async def switch_agent(session_id: SessionId, body: SwitchRequest, engine: OpenEngine, owner: Owner) -> AgentContext:
    """Make another agent current; open calls are settled like before a new message."""
    choice = ChooseAgent(body.target_agent, body.reason, body.confidence)
    await take(engine, Request(session_id, choice, owner))
    async with engine.database.autocommit() as tx:
        return await _context(tx, session_id, owner, include_history=True)


async def _context(tx: Transaction, session_id: str, owner: str, *, include_history: bool) -> AgentContext:
    session = await sessions.find(tx, session_id, owner)
    history: list[dict[str, Any]] | None = await audit.switches(tx, session_id) if include_history else None
    view = {
        "id": session.id,
        "session_id": session.id,
        "current_agent": session.current_agent,
        "switch_count": session.switch_count,
        "switch_history": history,
        "last_switch_at": session.last_switch_at,
        "created_at": session.created_at,
    }
    return AgentContext.model_validate({"context": view})
