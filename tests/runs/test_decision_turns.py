"""What a user's message, a switch, a cancel and an expiry mean for a session: a table without a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from errors import AgentRuntimeError, AgentUnknown, BadRequest, LimitReached, SessionUnknown
from runs.decision.contract import (
    Cancel,
    ChooseAgent,
    Effects,
    Expire,
    Request,
    ResumeRun,
    RunEnd,
    SessionMessage,
    StartRun,
)
from runs.decision.decide import decide
from storage.session_state import SessionState
from tests.runs.views import (
    BEFORE,
    NOW,
    PAUSED,
    RUNNING,
    SESSION,
    TERMS,
    asked_call,
    decided,
    idle,
    newest,
    paused,
    plan,
    plan_review,
    question,
    read_call,
    told,
)
from wire.protocol import HitlDecision, PlanDecision, SwitchAgent, ToolResult, UserMessage


def say(content: str = "Read a.py", **fields: Any) -> UserMessage:
    return UserMessage(content=content, **fields)


def journal(effects: Effects) -> dict[str, Any]:
    assert isinstance(effects.claims, StartRun)
    return effects.claims.journal


def test_the_first_message_creates_its_session_and_starts_with_the_router() -> None:
    effects = decided(SessionState(None), say("Read\nit"))
    assert effects.creates_session
    assert told(effects) == [("session_info", None)]
    assert effects.activity is not None
    assert effects.activity.title == "Read"
    found = journal(effects)
    assert (found["agent"], found["chosen_by"], found["repair"]) == ("orchestrator", "router", False)
    [said] = effects.messages
    assert (said.id, said.role, said.content) == (found["message_id"], "user", "Read\nit")


def test_the_first_message_with_an_agent_starts_there_without_a_switch() -> None:
    effects = decided(SessionState(None), say(agent_type="debug"))
    assert told(effects) == [("session_info", None)]
    assert effects.agent is not None
    assert (effects.agent.agent, effects.agent.chosen_by, effects.agent.switches) == ("debug", "user", 0)
    assert journal(effects)["agent"] == "debug"
    assert effects.audit == ()


def test_the_next_message_stays_with_the_current_agent() -> None:
    effects = decided(idle(), say())
    assert told(effects) == []
    assert effects.agent is None
    assert journal(effects)["agent"] == "coder"
    assert effects.activity is not None
    assert effects.activity.title is None


@pytest.mark.parametrize(
    ("last", "repair"), [(None, False), ("completed", False), ("failed", True), ("cancelled", True)]
)
def test_the_thread_is_repaired_after_a_run_that_did_not_complete(last: Any, repair: bool) -> None:
    found = None if last is None else newest(last)
    assert journal(decided(idle(newest=found), say()))["repair"] is repair


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (say(agent_type="debug"), "User requested"),
        (SwitchAgent(agent_type="debug", content="Why?"), "User requested agent switch"),
        (SwitchAgent(agent_type="debug", content="Why?", reason="it fails"), "it fails"),
        (SwitchAgent(agent_type="debug"), "User requested agent switch"),
        (ChooseAgent("debug", None, "low"), "User requested agent switch"),
    ],
)
def test_every_way_to_switch_says_counts_and_audits_the_same(message: SessionMessage, reason: str) -> None:
    effects = decided(idle(), message)
    switch = effects.chunks[0]
    assert switch.type == "agent_switched"
    assert switch.metadata is not None
    assert [switch.metadata[key] for key in ("from_agent", "to_agent", "reason")] == ["coder", "debug", reason]
    assert switch.metadata["confidence"] == ("low" if isinstance(message, ChooseAgent) else "high")
    assert effects.agent is not None
    assert (effects.agent.agent, effects.agent.chosen_by, effects.agent.switches) == ("debug", "user", 1)
    assert [entry.event for entry in effects.audit] == ["agent_switched"]
    has_content = bool(getattr(message, "content", None))
    assert isinstance(effects.claims, StartRun) == has_content
    assert switch.is_final != has_content
    assert told(effects)[1:] == ([] if has_content else [("done", "completed")])


def test_a_message_for_the_router_is_routed_afresh_without_a_switch() -> None:
    effects = decided(idle(), say(agent_type="orchestrator"))
    found = journal(effects)
    assert (found["agent"], found["chosen_by"], found["previous_agent"]) == ("orchestrator", "router", "coder")
    assert told(effects) == []


@pytest.mark.parametrize("message", [say(), SwitchAgent(agent_type="ask"), ChooseAgent("ask", None, "high")])
def test_what_would_start_a_run_waits_for_the_running_one(message: SessionMessage) -> None:
    assert decided(SessionState(SESSION, RUNNING), message) == Effects(must_wait=True)


@pytest.mark.parametrize(
    "message",
    [say(), say(agent_type="debug"), SwitchAgent(agent_type="debug", content="x"), SwitchAgent(agent_type="debug")],
)
def test_open_calls_are_settled_before_a_new_message_is_handled(message: SessionMessage) -> None:
    calls = (asked_call("c1"), read_call("c2"), asked_call("c3", state="approved"), read_call("c4", state="done"))
    effects = decided(paused(*calls), message)
    states = {record.call_id: (record.state, record.undecided, record.ended_by) for record in effects.calls}
    assert states == {
        "c1": ("superseded", True, "message"),
        "c2": ("failed", False, "message"),
        "c3": ("failed", False, "message"),
    }
    answered = [m.tool_call_id for m in effects.messages if m.role == "tool"]
    assert answered == ["c1", "c2", "c3", "c4"], "every call of the round has its one tool message"
    assert effects.ends_run == RunEnd("cancelled", "superseded")
    assert [e.call_id for e in effects.audit if e.event == "call_superseded"] == ["c1", "c2", "c3"]
    if isinstance(effects.claims, StartRun):
        assert journal(effects)["repair"]


@pytest.mark.parametrize("kind", ["question", "switch"])
def test_a_message_answers_the_one_open_question(kind: str) -> None:
    effects = decided(paused(question(kind)), say("The first one"))
    [settled] = effects.calls
    assert settled.state == "done"
    assert settled.result == {"content": "The first one", "message_id": effects.messages[-1].id}
    assert [m.role for m in effects.messages] == ["tool", "user"]
    assert effects.claims == ResumeRun((settled,))


@pytest.mark.parametrize(("word", "upto"), [("Yes.", [350, 600]), ("no", [])])
def test_a_word_answers_the_question_about_a_budget(word: str, upto: list[int]) -> None:
    one = {"scope": "turn", "unit": "tokens", "used": 250, "allowed": 200, "more": 100}
    other = {"scope": "owner", "unit": "usd", "used": 5e-7, "allowed": 1e-7, "more": 1e-7}
    asked = replace(question("budget"), arguments={"question": "Go on?", "budgets": [one, other]})
    effects = decided(paused(asked), say(word))
    assert [allowance.upto for allowance in effects.allowances] == upto, "from where it stands, by its own amount"
    assert [m.role for m in effects.messages] == ["user"], "no call of the model waits for a tool message"
    assert [entry.event for entry in effects.audit] == ["budget_decided"]
    assert effects.claims == ResumeRun(effects.calls)


def test_other_words_leave_a_budget_as_it_is_and_begin_a_turn() -> None:
    asked = replace(question("budget"), arguments={"question": "Go on?", "budgets": []})
    effects = decided(paused(asked), say("Do something cheaper"))
    assert (effects.allowances, effects.calls[0].ended_by) == ((), "message")
    assert [m.role for m in effects.messages] == ["user"]
    assert isinstance(effects.claims, StartRun)


@pytest.mark.parametrize(
    "view",
    [paused(question(), read_call("c2")), paused(question(), session=replace(SESSION, current_agent="ask"))],
    ids=["beside another call", "for another agent"],
)
def test_a_message_that_is_no_answer_closes_the_question(view: SessionState) -> None:
    effects = decided(view, say("Something else", agent_type="coder"))
    assert effects.calls[0].ended_by == "message"
    assert isinstance(effects.claims, StartRun)


@pytest.mark.parametrize(("word", "state", "status"), [("Yes!", "done", "executing"), ("нет", "rejected", "rejected")])
def test_one_word_decides_a_waiting_plan(word: str, state: str, status: str) -> None:
    session = replace(SESSION, current_agent="architect")
    effects = decided(paused(plan_review(), session=session, plan=plan()), say(word))
    assert effects.calls[0].state == state
    assert effects.plan is not None
    assert effects.plan.status == status
    assert effects.audit[0].details["via"] == "message"
    assert isinstance(effects.claims, ResumeRun)
    assert [m.content for m in effects.messages] == [word]


@pytest.mark.parametrize("chosen_by", ["router", "user"])
def test_any_other_message_supersedes_the_plan(chosen_by: str) -> None:
    session = replace(SESSION, current_agent="architect", agent_chosen_by=chosen_by)
    effects = decided(paused(plan_review(), session=session, plan=plan()), say("Make it smaller"))
    assert effects.plan is not None
    assert effects.plan.status == "superseded"
    assert [s["status"] for s in effects.plan.summary["subtasks"]] == ["pending", "pending"]
    assert journal(effects)["agent"] == ("orchestrator" if chosen_by == "router" else "architect")


def test_a_message_cancels_an_executing_plan() -> None:
    effects = decided(paused(read_call(), plan=plan("executing")), say("Stop that"))
    assert effects.plan is not None
    assert effects.plan.status == "cancelled"
    assert [s["status"] for s in effects.plan.summary["subtasks"]] == ["failed", "skipped"]


@pytest.mark.parametrize("message", [say(), SwitchAgent(agent_type="ask", content="x")])
def test_no_message_beyond_the_limit_starts_a_run(message: SessionMessage) -> None:
    effects = decided(idle(), message, terms=replace(TERMS, max_messages=3))
    assert told(effects) == [("error", "limit_reached"), ("done", "failed")]
    assert effects.claims is None


@pytest.mark.parametrize("message", [say(agent_type="ask"), SwitchAgent(agent_type="ask", content="x")])
def test_a_switch_beyond_the_limit_settles_nothing(message: SessionMessage) -> None:
    effects = decided(paused(read_call()), message, terms=replace(TERMS, max_switches=1))
    assert told(effects) == [("error", "limit_reached"), ("done", "failed")]
    assert (effects.calls, effects.ends_run, effects.claims) == ((), None, None)


SWEPT = replace(SESSION, deleted_at=BEFORE, swept_at=BEFORE)
REFUSED: list[tuple[SessionState, SessionMessage, type[AgentRuntimeError], str]] = [
    (idle(), say(agent_type="universal"), AgentUnknown, "Invalid agent_type: universal"),
    (idle(), SwitchAgent(agent_type="nobody"), AgentUnknown, "Invalid agent_type: nobody"),
    (idle(), ChooseAgent("nobody", None, "high"), AgentUnknown, "Invalid agent type: 'nobody'. Allowed"),
    (idle(), ChooseAgent("coder", None, "high"), BadRequest, "agent is already active"),
    (SessionState(None), ToolResult(call_id="c1"), SessionUnknown, "Session s not found"),
    (SessionState(None), SwitchAgent(agent_type="ask"), SessionUnknown, "Session s not found"),
    (SessionState(None), Cancel(), SessionUnknown, "Session s not found"),
    (SessionState(replace(SESSION, owner="you")), say(), SessionUnknown, "Session s not found"),
    (SessionState(replace(SESSION, owner="you")), Cancel(), SessionUnknown, "Session s not found"),
    (SessionState(replace(SESSION, deleted_at=BEFORE)), say(), SessionUnknown, "Session s not found"),
    (SessionState(SWEPT), Cancel(), SessionUnknown, "Session s not found"),
]


@pytest.mark.parametrize(("view", "message", "error", "sentence"), REFUSED)
def test_refusals_write_nothing(
    view: SessionState, message: SessionMessage, error: type[AgentRuntimeError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        decided(view, message)


def test_a_switch_by_rest_beyond_the_limit_is_refused() -> None:
    with pytest.raises(LimitReached):
        decided(idle(), ChooseAgent("ask", None, "high"), terms=replace(TERMS, max_switches=1))


def test_a_message_brings_a_swept_session_back() -> None:
    effects = decided(SessionState(SWEPT), say())
    assert effects.activity is not None
    assert not effects.creates_session
    assert told(effects) == []


def test_cancel_settles_what_is_open_and_ends_the_paused_run() -> None:
    effects = decided(paused(asked_call("c1"), read_call("c2"), plan=plan("executing")), Cancel())
    assert {record.state for record in effects.calls} == {"cancelled"}
    assert told(effects) == [("error", "cancelled"), ("done", "cancelled")]
    assert effects.request_id == PAUSED.request_id, "it ends the request that the session was answering"
    assert [entry.event for entry in effects.audit] == ["cancelled"]
    assert effects.plan is not None
    assert (effects.plan.status, effects.ends_run) == ("cancelled", RunEnd("cancelled", "cancelled"))


def test_cancel_asks_the_worker_of_a_running_run_and_does_nothing_without_one() -> None:
    assert decided(SessionState(SESSION, RUNNING), Cancel()) == Effects(cancels_run=True)
    assert decided(idle(), Cancel()) == Effects()


def test_an_expired_approval_ends_the_turn_without_a_model() -> None:
    effects = decided(paused(asked_call(expires_at=BEFORE)), Expire())
    [expired] = effects.calls
    assert (expired.state, expired.undecided, expired.ended_by, expired.settled_at) == ("expired", True, "expiry", NOW)
    assert effects.messages[0].content.startswith("Nobody approved this call in time.")
    assert told(effects) == [("error", "approval_expired"), ("done", "failed")]
    assert (effects.ends_run, effects.claims) == (RunEnd("failed", "approval_expired"), None)
    assert [(entry.event, entry.actor) for entry in effects.audit] == [("approval_expired", "clock")]


def test_an_expired_approval_waits_for_the_other_calls_of_its_round() -> None:
    effects = decided(paused(asked_call("c1", expires_at=BEFORE), read_call("c2")), Expire())
    assert [record.call_id for record in effects.calls] == ["c1"]
    assert (effects.ends_run, effects.chunks, effects.messages) == (None, (), ())


def test_expiry_does_nothing_before_its_time_or_to_a_session_that_is_gone() -> None:
    assert decided(paused(asked_call()), Expire()) == Effects()
    assert decided(SessionState(None), Expire()) == Effects()
    assert decided(paused(question(expires_at=None)), Expire()) == Effects()


@pytest.mark.parametrize(
    "message",
    [
        say("approve"),
        HitlDecision(call_id="c1", decision="approve"),
        PlanDecision(approval_request_id="plan-approval-p1", decision="approve"),
        ToolResult(call_id="c1"),
        SwitchAgent(agent_type="ask"),
    ],
)
def test_nothing_is_decided_after_the_deadline(message: SessionMessage) -> None:
    view = paused(plan_review(expires_at=BEFORE), plan=plan())
    effects = decided(view, message)
    assert effects.decide_again
    assert [record.state for record in effects.calls] == ["expired"]
    assert effects.claims is None


def test_a_decision_is_a_function_of_what_it_reads() -> None:
    makers: list[Callable[[], SessionMessage]] = [
        say,
        lambda: say(agent_type="ask"),
        lambda: SwitchAgent(agent_type="ask", content="x"),
        Cancel,
    ]
    for make in makers:
        request = Request("s", make(), "me")
        view = paused(asked_call(), plan=plan("executing"))
        assert decide(view, request, TERMS, NOW) == decide(view, request, TERMS, NOW)
