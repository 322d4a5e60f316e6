"""What one message means for its session: one pure function (docs/scenarios.md S1-S28). No I/O, clock or database."""

from __future__ import annotations

from dataclasses import replace

from errors import SessionUnknown
from runs.decision.call_decision import take_decision
from runs.decision.contract import WAITS_FOR_A_RUN, Cancel, ChooseAgent, Effects, Expire, Request, Terms
from runs.decision.plan_decision import take_plan_decision
from runs.decision.result import take_result
from runs.decision.supersede import cancel, expire
from runs.decision.turn import check_agent, choose_agent, enter, take_switch, take_user_message
from storage.session_state import SessionState
from storage.tables.sessions import Session
from wire.protocol import HitlDecision, PlanDecision, SwitchAgent, ToolResult, UserMessage


def decide(view: SessionState, request: Request, terms: Terms, now: str) -> Effects:
    """Decide what a request does to its session; `now` is the time as the tables write it.

    Raises the refusals for which nothing at all is written (docs/protocol.md, Error codes).
    """
    message = request.message
    if isinstance(message, Expire):
        return expire(view, now)
    if isinstance(message, UserMessage | SwitchAgent):
        check_agent(message.agent_type, terms)
    if isinstance(message, UserMessage):
        session, entered = enter(view, request, now)
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


def _decided(view: SessionState, session: Session, request: Request, terms: Terms, now: str) -> Effects:
    match request.message:
        case UserMessage() as message:
            return take_user_message(view, session, request, message, terms, now)
        case SwitchAgent() as message:
            return take_switch(view, session, request, message, terms, now)
        case ChooseAgent() as choice:
            return choose_agent(view, session, request, choice, terms, now)
        case ToolResult() as message:
            return take_result(view, request, message, terms, now)
        case HitlDecision() as message:
            return take_decision(view, session, request, message, terms, now)
        case PlanDecision() as message:
            return take_plan_decision(view, request, message, now)
        case _:
            return cancel(view, now)
