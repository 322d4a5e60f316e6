"""What one message means for its session (docs/scenarios.md S1-S28): one pure function, without I/O, clock or database.

What a user's message does stands here: it answers what waits, starts a turn (S3) or switches agents, as the REST twin
of a switch does. Results, decisions, plans and the end of what waits have modules of their own.
"""

from __future__ import annotations

from dataclasses import replace

from agents.thread.decision_words import decision_word
from errors import AgentUnknown, BadRequest, LimitReached, SessionUnknown
from runs.decision.budget_decision import decide_budget
from runs.decision.call_decision import take_decision
from runs.decision.contract import (
    WAITS_FOR_A_RUN,
    Activity,
    AgentChange,
    Cancel,
    ChooseAgent,
    Effects,
    Expire,
    Request,
    StartRun,
    Terms,
    answered,
    resumed,
    round_with,
)
from runs.decision.plan_decision import decide_plan, take_plan_decision
from runs.decision.result import take_result
from runs.decision.supersede import cancel, end_round, expire
from runs.thread import tool_record
from storage.session_state import SessionState
from storage.tables.audit import AuditEntry
from storage.tables.calls import CallRecord
from storage.tables.messages import MessageRecord
from storage.tables.sessions import Session
from wire.protocol import (
    AgentSwitched,
    Error,
    HitlDecision,
    PlanDecision,
    SessionInfo,
    SwitchAgent,
    ToolResult,
    UserMessage,
    error_chunk,
)
from wire.text import quoted

TITLE_CHARS = 500
DEFAULT_REASON = "User requested agent switch"


def decide(view: SessionState, request: Request, terms: Terms, now: str) -> Effects:
    """Decide what a request does to its session; `now` is the time as the tables write it.

    Raises the refusals for which nothing at all is written (docs/protocol.md, Error codes).
    """
    message = request.message
    if isinstance(message, Expire):
        return expire(view, now)
    if isinstance(message, UserMessage | SwitchAgent):
        _check_agent(message.agent_type, terms)
    if isinstance(message, UserMessage):
        session, entered = _enter(view, request, now)
    else:
        session, entered = _known_session(view, request), Effects()
    if isinstance(message, WAITS_FOR_A_RUN) and view.is_busy:
        return Effects(must_wait=True)
    if not isinstance(message, Cancel) and view.overdue_calls(now):
        # No decision counts after the deadline, even when no instance has expired the call yet (S27).
        return replace(expire(view, now), decide_again=True)
    return entered.then(_decided(replace(view, session=session), session, request, terms, now))


def _known_session(view: SessionState, request: Request) -> Session:
    session = view.session
    if session is None or session.owner != request.owner or session.deleted_at is not None:
        raise SessionUnknown.named(request.session_id)
    return session


def _enter(view: SessionState, request: Request, now: str) -> tuple[Session, Effects]:
    """Find the session, a swept one too, or create an unknown one (docs/protocol.md, Messages and Limits)."""
    session = view.session
    if session is None:
        created = Session(request.session_id, request.owner or "", created_at=now, last_activity=now)
        return created, Effects(creates_session=True, chunks=(SessionInfo(session_id=created.id),))
    is_deleted = session.deleted_at is not None and session.swept_at is None
    if session.owner != request.owner or is_deleted:
        raise SessionUnknown.named(request.session_id)
    return session, Effects()


def _check_agent(agent: str | None, terms: Terms) -> None:
    """Raise AgentUnknown for an agent that this mode does not have."""
    if agent is not None and agent not in terms.agents:
        raise AgentUnknown(f"Invalid agent_type: {quoted(agent)}")


def _decided(view: SessionState, session: Session, request: Request, terms: Terms, now: str) -> Effects:
    match request.message:
        case UserMessage() as message:
            return _take_user_message(view, session, request, message, terms, now)
        case SwitchAgent() as message:
            return _take_switch(view, session, request, message, terms, now)
        case ChooseAgent() as choice:
            return _choose_agent(view, session, request, choice, terms, now)
        case ToolResult() as message:
            return take_result(view, request, message, terms, now)
        case HitlDecision() as message:
            return take_decision(view, session, request, message, terms, now)
        case PlanDecision() as message:
            return take_plan_decision(view, request, message, now)
        case _:
            return cancel(view, now)


def _take_user_message(
    view: SessionState, session: Session, request: Request, message: UserMessage, terms: Terms, now: str
) -> Effects:
    """Take the message as an answer where exactly one is waited for, else as the start of a turn."""
    content = message.content or ""
    environment = message.environment.model_dump(exclude_none=True) if message.environment else None
    used = Effects(activity=Activity(_title_of(session, content), environment))
    if message.agent_type in (None, session.current_agent) and len(view.open_calls) == 1:
        answer = _answer(view, request, view.open_calls[0], content, now)
        if answer is not None:
            return used.then(answer)
    refused = _too_long(session, terms)
    if refused is not None:
        return used.then(answered(request, [refused], "failed"))
    return used.then(_new_turn(view, session, request, message, terms, now))


def _answer(view: SessionState, request: Request, waiting: CallRecord, content: str, now: str) -> Effects | None:
    """The message as the answer to a question, or by one word to a plan; None when it is neither."""
    assert view.run is not None, "an open call belongs to a paused run"
    said = MessageRecord(request.message_id, "user", content, run_id=view.run.id)
    if waiting.kind == "budget":
        decided = decide_budget(view, request, waiting, content, now)
        return None if decided is None else Effects(messages=(said,)).then(decided)
    if waiting.kind in ("question", "switch"):
        told = {"content": content, "message_id": said.id}
        settled = replace(waiting, state="done", result=told, settled_at=now)
        record = replace(tool_record(settled), run_id=view.run.id)
        noted = Effects(calls=(settled,), messages=(record, said))
        return noted.then(resumed(request, round_with(view, settled)))
    word = decision_word(content)
    if waiting.kind != "plan_review" or word is None:
        return None
    return Effects(messages=(said,)).then(decide_plan(view, request, waiting, word, None, now, via="message"))


def _new_turn(
    view: SessionState, session: Session, request: Request, message: UserMessage, terms: Terms, now: str
) -> Effects:
    """Begin with the current agent, or with the one that the message names (S3)."""
    left = _round_left(view, now)
    wanted = message.agent_type
    agent, chosen_by, previous = session.current_agent, session.agent_chosen_by, "orchestrator"
    if left.agent is not None:
        agent, chosen_by = left.agent.agent, left.agent.chosen_by
    if wanted == "orchestrator":
        agent, chosen_by, previous = "orchestrator", "router", agent
    elif wanted is not None and wanted != agent:
        is_fresh = session.message_count == 0
        refused = None if is_fresh else _too_many_switches(session, terms)
        if refused is not None:
            return answered(request, [refused], "failed")
        switch = _switched(agent, wanted, "User requested", now)
        if is_fresh and switch.agent is not None:  # the start with a chosen agent is no switch
            switch = Effects(agent=replace(switch.agent, switches=0))
        left = left.then(switch)
        agent, chosen_by = wanted, "user"
    turn = _start_turn(view, request, message.content or "", agent=agent, chosen_by=chosen_by, previous_agent=previous)
    return left.then(turn)


def _start_turn(
    view: SessionState,
    request: Request,
    content: str,
    *,
    agent: str,
    chosen_by: str,
    previous_agent: str = "orchestrator",
) -> Effects:
    """Claim the session for a new run; `previous_agent` is whom the router names when it chooses another one."""
    journal = {
        "content": content,
        "message_id": request.message_id,
        "agent": agent,
        "chosen_by": chosen_by,
        "previous_agent": previous_agent,
        # A run that ended without its last checkpoint leaves a thread that lacks messages of the history.
        "repair": view.run is not None or (view.newest is not None and view.newest.status != "completed"),
        **({"trace": request.trace} if request.trace else {}),
    }
    said = MessageRecord(request.message_id, "user", content, run_id=request.run_id)
    return Effects(claims=StartRun(journal), messages=(said,), request_id=request.request_id)


def _too_long(session: Session, terms: Terms) -> Error | None:
    """The refusal of a message beyond MAX_MESSAGES (docs/protocol.md, Limits)."""
    if session.message_count < terms.max_messages:
        return None
    sentence = f"This session has reached its limit of {terms.max_messages} messages; start a new one."
    return error_chunk("limit_reached", sentence, limit="max_messages")


def _title_of(session: Session, content: str) -> str | None:
    """The title that the first message of a session gives it: its first line."""
    return None if session.message_count else content.strip().splitlines()[0].strip()[:TITLE_CHARS]


def _round_left(view: SessionState, now: str) -> Effects:
    """What becomes of the calls that wait when the user goes on without them (S13)."""
    return end_round(view, "message", now) if view.run is not None else Effects()


def _take_switch(
    view: SessionState, session: Session, request: Request, message: SwitchAgent, terms: Terms, now: str
) -> Effects:
    """Switch, and let the new agent answer when the message says something (S14)."""
    content = message.content or ""
    has_content = bool(content.strip())
    refused = _too_many_switches(session, terms) or (_too_long(session, terms) if has_content else None)
    if refused is not None:
        return answered(request, [refused], "failed")
    wanted, reason = message.agent_type or "", message.reason or DEFAULT_REASON
    switch = _switched(session.current_agent, wanted, reason, now, is_final=not has_content)
    effects = _round_left(view, now).then(switch)
    if not has_content:
        return effects.then(answered(request, [], "completed"))
    chosen_by = "router" if wanted == "orchestrator" else "user"
    used = Effects(activity=Activity(title=_title_of(session, content)))
    return effects.then(used).then(_start_turn(view, request, content, agent=wanted, chosen_by=chosen_by))


def _choose_agent(
    view: SessionState, session: Session, request: Request, choice: ChooseAgent, terms: Terms, now: str
) -> Effects:
    """Switch without a message (docs/protocol.md, Endpoints); what a message would be told in a chunk is refused."""
    wanted = choice.agent
    if wanted not in terms.agents:
        raise AgentUnknown(f"Invalid agent type: '{wanted}'. Allowed values: {list(terms.agents)}")
    if wanted == session.current_agent:
        raise BadRequest(f"Cannot switch from agent '{wanted}' to agent '{wanted}': agent is already active")
    refused = _too_many_switches(session, terms)
    if refused is not None:
        raise LimitReached(refused.error)
    reason = choice.reason or DEFAULT_REASON
    switch = _switched(session.current_agent, wanted, reason, now, confidence=choice.confidence, is_final=True)
    return _round_left(view, now).then(switch).then(answered(request, [], "completed"))


def _switched(
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


def _too_many_switches(session: Session, terms: Terms) -> Error | None:
    """The refusal of a switch beyond MAX_SWITCHES (docs/protocol.md, Limits)."""
    if session.switch_count < terms.max_switches:
        return None
    sentence = f"This session has reached its limit of {terms.max_switches} switches."
    return error_chunk("limit_reached", sentence, limit="max_switches")
