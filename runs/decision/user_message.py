"""A user's message: an answer, or the start of a new turn (docs/scenarios.md S1-S3, S13, S18, S24)."""

from __future__ import annotations

from dataclasses import replace

from agents.thread.decision_words import decision_word
from errors import SessionUnknown
from runs.decision.budget_decision import decide_budget
from runs.decision.effects import Activity, Effects, answered, resumed, round_with
from runs.decision.plan_decision import decide_plan
from runs.decision.supersede import end_round
from runs.decision.turn import start_turn, switched, title_of, too_long, too_many_switches
from runs.decision.view import Request, Terms, View
from runs.thread import tool_record
from storage.tables.calls import CallRecord
from storage.tables.messages import MessageRecord
from storage.tables.sessions import Session
from wire.protocol import SessionInfo, UserMessage


def enter(view: View, request: Request, now: str) -> tuple[Session, Effects]:
    """Find the session, a swept one too, or create an unknown one (docs/protocol.md, Messages and Limits)."""
    session = view.session
    if session is None:
        created = Session(request.session_id, request.owner or "", created_at=now, last_activity=now)
        return created, Effects(creates_session=True, chunks=(SessionInfo(session_id=created.id),))
    is_deleted = session.deleted_at is not None and session.swept_at is None
    if session.owner != request.owner or is_deleted:
        raise SessionUnknown.named(request.session_id)
    return session, Effects()


def take_user_message(
    view: View, session: Session, request: Request, message: UserMessage, terms: Terms, now: str
) -> Effects:
    """Take the message as an answer where exactly one is waited for, else as the start of a turn."""
    content = message.content or ""
    environment = message.environment.model_dump(exclude_none=True) if message.environment else None
    used = Effects(activity=Activity(title_of(session, content), environment))
    if message.agent_type in (None, session.current_agent) and len(view.open_calls) == 1:
        answer = _answer(view, request, view.open_calls[0], content, now)
        if answer is not None:
            return used.then(answer)
    refused = too_long(session, terms)
    if refused is not None:
        return used.then(answered(request, [refused], "failed"))
    return used.then(_new_turn(view, session, request, message, terms, now))


def _answer(view: View, request: Request, waiting: CallRecord, content: str, now: str) -> Effects | None:
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


def _new_turn(view: View, session: Session, request: Request, message: UserMessage, terms: Terms, now: str) -> Effects:
    """Begin with the current agent, or with the one that the message names (S3)."""
    left = end_round(view, "message", now)
    wanted = message.agent_type
    agent, chosen_by, previous = session.current_agent, session.agent_chosen_by, "orchestrator"
    if left.agent is not None:
        agent, chosen_by = left.agent.agent, left.agent.chosen_by
    if wanted == "orchestrator":
        agent, chosen_by, previous = "orchestrator", "router", agent
    elif wanted is not None and wanted != agent:
        is_fresh = session.message_count == 0
        refused = None if is_fresh else too_many_switches(session, terms)
        if refused is not None:
            return answered(request, [refused], "failed")
        switch = switched(agent, wanted, "User requested", now)
        if is_fresh and switch.agent is not None:  # the start with a chosen agent is no switch
            switch = Effects(agent=replace(switch.agent, switches=0))
        left = left.then(switch)
        agent, chosen_by = wanted, "user"
    turn = start_turn(view, request, message.content or "", agent=agent, chosen_by=chosen_by, previous_agent=previous)
    return left.then(turn)
