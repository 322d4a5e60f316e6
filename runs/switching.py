"""Switching agents by REST: the same as the message, refused where the protocol says so (section 6)."""

from __future__ import annotations

from agents.roster import agents_of
from errors import AgentUnknown, BadRequest, LimitReached
from runs.drive.claim import Claim, begin, claim_in_turn, reply
from runs.engine import Engine
from runs.intake import leave_round, note_switch, switched
from storage import runs, sessions
from storage.database import Transaction


async def switch(engine: Engine, session_id: str, owner: str, target: str, reason: str | None, confidence: str) -> None:
    """Make another agent current, after the open calls of the session are settled."""
    allowed = [agent.name for agent in agents_of(multi_agent=engine.settings.multi_agent_mode)]

    async def claim(tx: Transaction) -> Claim | None:
        session = await sessions.find(tx, session_id, owner, lock=True)
        active = await runs.active(tx, session_id)
        if active is not None and active.status == "running":
            return None
        if target not in allowed:
            raise AgentUnknown(f"Invalid agent type: '{target}'. Allowed values: {allowed}")
        if target == session.current_agent:
            raise BadRequest(f"Cannot switch from agent '{target}' to agent '{target}': agent is already active")
        if session.switch_count >= engine.settings.max_switches:
            raise LimitReached(f"This session has reached its limit of {engine.settings.max_switches} switches")
        await leave_round(tx, session, active)
        chunk = switched(session.current_agent, target, reason or "User requested agent switch", is_final=True)
        chunk.metadata["confidence"] = confidence
        await note_switch(tx, session, chunk, chosen_by="router" if target == "orchestrator" else "user")
        return await reply(tx, session, [chunk], "completed")

    await begin(engine, await claim_in_turn(engine, session_id, claim))
