"""What a result or a decision means for a session: a table without a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from errors import (
    AgentRuntimeError,
    ApprovalNotRequired,
    ApprovalRequired,
    ApprovalUnknown,
    CallSettled,
    CallUnknown,
    DigestMismatch,
)
from runs.decision.contract import Effects, ResumeRun, SessionMessage
from storage.session_state import SessionState
from storage.tables.calls import CallRecord
from tests.runs.views import (
    NOW,
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
from wire.protocol import HitlDecision, PlanDecision, ToolResult

PLAN_ID = "plan-approval-p1"


def result(**fields: Any) -> ToolResult:
    return ToolResult(call_id="c1", **fields)


def decision(verb: str, **fields: Any) -> HitlDecision:
    return HitlDecision(call_id="c1", decision=verb, **fields)


def plan_decision(verb: str, **fields: Any) -> PlanDecision:
    return PlanDecision(approval_request_id=PLAN_ID, decision=verb, **fields)


def only_call(effects: Effects) -> CallRecord:
    [call] = effects.calls
    return call


def named(record: CallRecord) -> SessionState:
    """A session without open calls, in which a settled call is named."""
    return SessionState(SESSION, named=record, newest=newest())


@pytest.mark.parametrize(
    ("fields", "state"),
    [({"result": 0}, "done"), ({"result": ""}, "done"), ({}, "done"), ({"error": "no file", "result": 1}, "failed")],
)
def test_the_last_result_of_a_round_lets_the_run_go_on(fields: dict[str, Any], state: str) -> None:
    effects = decided(paused(read_call()), result(**fields))
    settled = only_call(effects)
    assert (settled.state, settled.result, settled.settled_at) == (state, fields.get("result"), NOW)
    assert effects.claims == ResumeRun((settled,))
    assert effects.chunks == ()


def test_a_result_while_others_are_open_is_only_recorded() -> None:
    effects = decided(paused(read_call("c1"), asked_call("c2"), read_call("c3")), result(result="x"))
    assert told(effects) == [("status", "result_recorded"), ("done", "awaiting_approval")]
    assert effects.chunks[0].metadata is not None
    assert effects.chunks[0].metadata["open_calls"] == ["c2", "c3"]
    assert effects.claims is None


@pytest.mark.parametrize(
    ("error", "state", "word"),
    [
        (None, "done", "approve"),
        ("User rejected it", "rejected", "reject"),
        ("  USER REJECTED the operation", "rejected", "reject"),
        ("Операция отклонена пользователем", "rejected", "reject"),
        ("No such file", "failed", "approve"),
        ("The user rejected it", "failed", "approve"),
    ],
)
def test_a_result_for_a_pending_call_is_the_decision_of_its_client(error: str | None, state: str, word: str) -> None:
    effects = decided(paused(asked_call()), result(result="x", error=error))
    settled = only_call(effects)
    assert (settled.state, settled.decision, settled.decided_by) == (state, f"implicit_{word}", "client")
    assert [(e.event, e.details) for e in effects.audit] == [
        ("approval_implicit", {"decision": word, "danger": "normal"} | ({} if word == "reject" else {"outcome": state}))
    ]
    assert effects.rules == ()
    assert isinstance(effects.claims, ResumeRun)


def test_in_strict_mode_a_result_without_a_decision_is_refused_and_audited() -> None:
    effects = decided(paused(asked_call()), result(result="x"), terms=replace(TERMS, is_strict=True))
    assert isinstance(effects.refusal, ApprovalRequired)
    assert [entry.event for entry in effects.audit] == ["approval_required"]
    assert (effects.calls, effects.chunks, effects.claims) == ((), (), None)


@pytest.mark.parametrize("state", ["done", "failed", "rejected", "expired", "superseded", "cancelled"])
def test_a_result_for_a_settled_call_changes_nothing_even_while_a_run_is_running(state: Any) -> None:
    view = SessionState(SESSION, RUNNING, named=read_call(state=state, settled_at=NOW))
    effects = decided(view, result(result="x"))
    assert told(effects) == [("status", "already_settled"), ("done", "completed")]
    assert effects.chunks[0].metadata is not None
    assert effects.chunks[0].metadata["state"] == state
    assert [entry.event for entry in effects.audit] == ["late_result"]
    assert (effects.calls, effects.claims) == ((), None)


def test_a_result_for_a_plan_asks_for_its_decision() -> None:
    effects = decided(paused(plan_review(), plan=plan()), ToolResult(call_id=PLAN_ID, result="x"))
    assert told(effects) == [("status", "plan_decision_required"), ("done", "awaiting_plan")]
    assert effects.calls == ()


def test_approve_confirms_and_waits_for_the_result() -> None:
    effects = decided(paused(asked_call()), decision("approve"))
    assert only_call(effects).state == "approved"
    assert only_call(effects).settled_at is None
    assert told(effects) == [("status", "approved"), ("done", "awaiting_tool")]
    assert effects.chunks[0].is_final
    assert effects.claims is None


def test_reject_lets_the_agent_go_on_once_nothing_else_is_open() -> None:
    effects = decided(paused(asked_call()), decision("reject", feedback="not that"))
    assert told(effects) == [("status", "rejected")]
    assert not effects.chunks[0].is_final
    assert isinstance(effects.claims, ResumeRun)
    assert effects.claims.answers[0].feedback == "not that"
    effects = decided(paused(asked_call(), read_call("c2")), decision("reject"))
    assert told(effects) == [("status", "rejected"), ("done", "awaiting_tool")]
    assert effects.chunks[0].is_final
    assert effects.claims is None


def test_an_edit_is_stored_and_told() -> None:
    effects = decided(paused(asked_call()), decision("edit", modified_arguments={"command": "pytest -q"}))
    assert (only_call(effects).state, only_call(effects).edited_arguments) == ("edited", {"command": "pytest -q"})
    assert effects.chunks[0].metadata is not None
    assert effects.chunks[0].metadata["arguments"] == {"command": "pytest -q"}


@pytest.mark.parametrize("arguments", [{}, {"command": 1}, {"command": "x", "other": 1}, {"command": "rm -rf /"}])
def test_an_edit_that_breaks_schema_or_policy_leaves_the_approval_pending(arguments: dict[str, Any]) -> None:
    effects = decided(paused(asked_call()), decision("edit", modified_arguments=arguments))
    assert told(effects) == [("error", "decision_invalid"), ("done", "awaiting_approval")]
    assert effects.refusal is not None
    assert effects.refusal.code == "decision_invalid"
    assert [entry.event for entry in effects.audit] == ["edit_refused"]
    assert effects.calls == ()


@pytest.mark.parametrize(
    ("fields", "is_remembered"),
    [
        ({"remember": "session"}, True),
        ({"remember": "session", "remember_option": "o1"}, True),
        ({"remember": "session", "remember_option": "other"}, False),
        ({"remember": "none"}, False),
        ({}, False),
    ],
)
def test_an_approval_may_be_remembered_for_the_session(fields: dict[str, Any], is_remembered: bool) -> None:
    effects = decided(paused(asked_call()), decision("approve", **fields))
    assert [rule.rule for rule in effects.rules] == ([{"prefix": ["pytest"]}] if is_remembered else [])
    assert only_call(effects).remembered is is_remembered
    assert effects.confirmation is not None
    assert effects.confirmation.remembered is is_remembered


@pytest.mark.parametrize(
    ("state", "verb", "edited"),
    [("approved", "approve", None), ("edited", "edit", {"command": "ls"}), ("rejected", "reject", None)],
)
def test_the_same_decision_again_gets_the_same_answer(state: Any, verb: str, edited: dict[str, Any] | None) -> None:
    record = asked_call(state=state, decision=verb, decided_by="user", decided_at=NOW, edited_arguments=edited)
    first = decided(paused(asked_call()), decision(verb, modified_arguments=edited))
    again = decided(named(record), decision(verb, modified_arguments=edited))
    assert again.chunks[0].metadata == first.chunks[0].metadata
    assert again.confirmation == first.confirmation
    assert again.chunks[0].is_final
    assert (again.calls, again.audit, again.claims) == ((), (), None)


REFUSED: list[tuple[SessionState, SessionMessage, type[AgentRuntimeError]]] = [
    (idle(), result(), CallUnknown),
    (idle(), decision("approve"), CallUnknown),
    (paused(question()), result(), CallUnknown),
    (idle(), ToolResult(call_id=PLAN_ID), ApprovalUnknown),
    (idle(), plan_decision("approve"), ApprovalUnknown),
    (paused(read_call()), plan_decision("approve"), ApprovalUnknown),
    (paused(read_call()), decision("approve"), ApprovalNotRequired),
    (paused(plan_review(), plan=plan()), decision("approve"), ApprovalNotRequired),
    (paused(asked_call()), decision("approve", digest="other"), DigestMismatch),
    (named(asked_call(state="approved", decision="approve", decided_by="user")), decision("reject"), CallSettled),
    (
        named(asked_call(state="done", decision="implicit_approve", decided_by="client")),
        decision("approve"),
        CallSettled,
    ),
    (named(asked_call(state="expired")), decision("approve"), CallSettled),
    (named(asked_call(state="superseded")), decision("reject"), CallSettled),
    (
        named(asked_call(state="edited", decision="edit", decided_by="user", edited_arguments={"command": "ls"})),
        decision("edit", modified_arguments={"command": "pwd"}),
        CallSettled,
    ),
    (named(plan_review(state="done", decision="approve", decided_by="user")), plan_decision("reject"), CallSettled),
    (named(plan_review(state="superseded")), plan_decision("approve"), CallSettled),
]


@pytest.mark.parametrize(("view", "message", "error"), REFUSED)
def test_conflicts_are_refused_and_write_nothing(
    view: SessionState, message: SessionMessage, error: type[AgentRuntimeError]
) -> None:
    with pytest.raises(error):
        decided(view, message)


@pytest.mark.parametrize(
    ("verb", "state", "status", "fsm_state"),
    [
        ("approve", "done", "executing", "plan_execution"),
        ("reject", "rejected", "rejected", "idle"),
        ("modify", "done", "superseded", "architect_planning"),
    ],
)
def test_a_decided_plan_goes_on(verb: str, state: str, status: str, fsm_state: str) -> None:
    effects = decided(paused(plan_review(), plan=plan()), plan_decision(verb, feedback="smaller"))
    assert (only_call(effects).state, only_call(effects).feedback) == (state, "smaller")
    assert effects.plan is not None
    assert effects.plan.status == status
    assert told(effects) == [("status", fsm_state)]
    assert isinstance(effects.claims, ResumeRun)
    assert effects.confirmation is not None
    assert effects.confirmation.call_id == PLAN_ID


def test_the_same_decision_on_a_plan_again_only_confirms() -> None:
    record = plan_review(state="done", decision="approve", decided_by="user", settled_at=NOW)
    effects = decided(named(record), plan_decision("approve"))
    assert told(effects) == [("status", "plan_execution"), ("done", "completed")]
    assert (effects.calls, effects.plan, effects.claims) == ((), None, None)
