"""The start of a turn, and switching agents: by either message or by REST, in one way (docs/scenarios.md S3, S14)."""

from __future__ import annotations

from collections.abc import Sequence

from errors import AgentUnknown, BadRequest, LimitReached
from runs.decision.effects import Activity, AgentChange, Effects, StartRun, answered
from runs.decision.supersede import end_round
from runs.decision.view import ChooseAgent, Request, Terms, View
from storage.tables.audit import AuditEntry
from storage.tables.messages import MessageRecord
from storage.tables.sessions import Session
from wire.protocol import AgentSwitched, Chunk, Error, SwitchAgent, error_chunk
from wire.text import quoted

TITLE_CHARS = 500
DEFAULT_REASON = "User requested agent switch"


def start_turn(
    view: View,
    request: Request,
    content: str,
    *,
    agent: str,
    chosen_by: str,
    previous_agent: str = "orchestrator",
    chunks: Sequence[Chunk] = (),
) -> Effects:
    """Claim the session for a new run; `previous_agent` is whom the router names when it chooses another one."""
    journal = {
        "content": content,
        "message_id": request.message_id,
        "agent": agent,
        "chosen_by": chosen_by,
        "previous_agent": previous_agent,
        # A run that ended without its last checkpoint leaves a thread that lacks messages of the history.
        "repair": view.run is not None or view.last_status not in (None, "completed"),
        **({"trace": request.trace} if request.trace else {}),
    }
    said = MessageRecord(request.message_id, "user", content, run_id=request.run_id)
    return Effects(claims=StartRun(journal), messages=(said,), chunks=tuple(chunks), request_id=request.request_id)


def too_long(session: Session, terms: Terms) -> Error | None:
    """The refusal of a message beyond MAX_MESSAGES (docs/protocol.md, Limits)."""
    if session.message_count < terms.max_messages:
        return None
    sentence = f"This session has reached its limit of {terms.max_messages} messages; start a new one."
    return error_chunk("limit_reached", sentence, limit="max_messages")


def title_of(session: Session, content: str) -> str | None:
    """The title that the first message of a session gives it: its first line."""
    return None if session.message_count else content.strip().splitlines()[0].strip()[:TITLE_CHARS]


def check_agent(agent: str | None, terms: Terms) -> None:
    """Raise AgentUnknown for an agent that this mode does not have."""
    if agent is not None and agent not in terms.agents:
        raise AgentUnknown(f"Invalid agent_type: {quoted(agent)}")


def switched(
    from_agent: str, to_agent: str, reason: str, now: str, *, confidence: str = "high", is_final: bool = False
) -> Effects:
    """Make another agent current: the chunk, the audit entry and the session's agent."""
    metadata = {
        "from_agent": from_agent,
        "to_agent": to_agent,
        "reason": reason,
        "confidence": confidence,
        "classification_method": "explicit",
    }
    return Effects(
        agent=AgentChange(to_agent, "router" if to_agent == "orchestrator" else "user", 1),
        audit=(AuditEntry("agent_switched", actor="user", agent=to_agent, details=dict(metadata), at=now),),
        chunks=(AgentSwitched(content=f"Switched to {to_agent} agent", is_final=is_final, metadata=metadata),),
    )


def too_many_switches(session: Session, terms: Terms) -> Error | None:
    """The refusal of a switch beyond MAX_SWITCHES (docs/protocol.md, Limits)."""
    if session.switch_count < terms.max_switches:
        return None
    sentence = f"This session has reached its limit of {terms.max_switches} switches."
    return error_chunk("limit_reached", sentence, limit="max_switches")


def take_switch(
    view: View, session: Session, request: Request, message: SwitchAgent, terms: Terms, now: str
) -> Effects:
    """Switch, and let the new agent answer when the message says something (S14)."""
    content = message.content or ""
    has_content = bool(content.strip())
    refused = too_many_switches(session, terms) or (too_long(session, terms) if has_content else None)
    if refused is not None:
        return answered(request, [refused], "failed")
    wanted, reason = message.agent_type or "", message.reason or DEFAULT_REASON
    switch = switched(session.current_agent, wanted, reason, now, is_final=not has_content)
    effects = end_round(view, "message", now).then(switch)
    if not has_content:
        return effects.then(answered(request, [], "completed"))
    chosen_by = "router" if wanted == "orchestrator" else "user"
    used = Effects(activity=Activity(title=title_of(session, content)))
    return effects.then(used).then(start_turn(view, request, content, agent=wanted, chosen_by=chosen_by))


def choose_agent(
    view: View, session: Session, request: Request, choice: ChooseAgent, terms: Terms, now: str
) -> Effects:
    """Switch without a message (docs/protocol.md, Endpoints); what a message would be told in a chunk is refused."""
    wanted = choice.agent
    if wanted not in terms.agents:
        raise AgentUnknown(f"Invalid agent type: '{wanted}'. Allowed values: {list(terms.agents)}")
    if wanted == session.current_agent:
        raise BadRequest(f"Cannot switch from agent '{wanted}' to agent '{wanted}': agent is already active")
    refused = too_many_switches(session, terms)
    if refused is not None:
        raise LimitReached(refused.error)
    reason = choice.reason or DEFAULT_REASON
    switch = switched(session.current_agent, wanted, reason, now, confidence=choice.confidence, is_final=True)
    return end_round(view, "message", now).then(switch).then(answered(request, [], "completed"))
