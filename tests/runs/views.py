"""Sessions as values: what `decide` reads, built without a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from policy.rules import load_rules
from runs.decision.contract import Effects, Request, SessionMessage, Terms
from runs.decision.decide import decide
from storage.session_state import NewestRun, SessionState
from storage.tables.calls import CallRecord
from storage.tables.plans import PlanRecord
from storage.tables.runs import Run, RunStatus
from storage.tables.sessions import Session

BEFORE = "2026-02-04T11:00:00.000000+00:00"
NOW = "2026-02-04T12:00:00.000000+00:00"
LATER = "2026-02-04T13:00:00.000000+00:00"
TERMS = Terms(
    rules=load_rules(),
    agents=("orchestrator", "coder", "architect", "debug", "ask"),
    is_strict=False,
    max_messages=1000,
    max_switches=50,
)
SESSION = Session(
    id="s",
    owner="me",
    title="Read",
    description=None,
    created_at=BEFORE,
    last_activity=BEFORE,
    deleted_at=None,
    swept_at=None,
    current_agent="coder",
    agent_chosen_by="router",
    switch_count=1,
    last_switch_at=BEFORE,
    environment=None,
    last_seq=7,
    message_count=3,
)
PAUSED = Run(
    id="r1",
    session_id="s",
    request_id="q1",
    input={},
    status="paused",
    worker=2,
    attempt=1,
    protocol_version=2,
    cancel_requested=False,
    error=None,
)
RUNNING = replace(PAUSED, status="running")
_CALL = CallRecord(
    session_id="s",
    call_id="c1",
    run_id="r1",
    round=1,
    interrupt_id="i1",
    kind="ide_call",
    agent="coder",
    tool_name="read_file",
    arguments={"path": "a.py"},
    verdict={"danger": "low"},
    digest="d1",
    state="executing",
    decision=None,
    decided_at=None,
    decided_by=None,
    edited_arguments=None,
    feedback=None,
    remembered=False,
    result=None,
    error=None,
    ended_by=None,
    undecided=False,
    created_at=BEFORE,
    expires_at=None,
    settled_at=None,
    plan_id=None,
)


def read_call(call_id: str = "c1", **fields: Any) -> CallRecord:
    """A call that the client runs without a decision."""
    return replace(_CALL, call_id=call_id, interrupt_id=f"i-{call_id}", **fields)


def asked_call(call_id: str = "c1", **fields: Any) -> CallRecord:
    """A pending call; it may be remembered."""
    option = {"id": "o1", "label": "`pytest`, in this session", "rule": {"prefix": ["pytest"]}}
    asked: dict[str, Any] = {
        "kind": "approval",
        "tool_name": "execute_command",
        "arguments": {"command": "pytest"},
        "state": "pending",
        "verdict": {"danger": "normal", "remember_options": [option]},
        "expires_at": LATER,
    }
    return read_call(call_id, **{**asked, **fields})


def question(kind: str = "question", **fields: Any) -> CallRecord:
    """An open question, or a switch that the user is asked about."""
    arguments = {"question": "Which one?", "suggestions": ["a", "b"], "mode": "coder"}
    return read_call("c1", **{"kind": kind, "tool_name": "ask_followup_question", "arguments": arguments, **fields})


def plan_review(**fields: Any) -> CallRecord:
    """A plan that waits for its decision."""
    asked: dict[str, Any] = {
        "kind": "plan_review",
        "tool_name": "create_plan",
        "agent": "architect",
        "state": "pending",
        "plan_id": "p1",
        "expires_at": LATER,
    }
    return read_call("c1", **{**asked, **fields})


def plan(status: str = "draft") -> PlanRecord:
    """A plan of two subtasks, of which the first has begun when it executes."""
    first = "running" if status == "executing" else "pending"
    subtasks = [{"id": "t1", "status": first}, {"id": "t2", "status": "pending"}]
    return PlanRecord("p1", "c1", {"plan_id": "p1", "title": "Login", "subtasks": subtasks}, status, None, BEFORE)


def paused(*calls: CallRecord, session: Session = SESSION, named: str | None = "c1", **parts: Any) -> SessionState:
    """A session whose paused run waits for these calls; the request names one of them."""
    found = next((record for record in calls if record.call_id == named), None)
    return SessionState(session, PAUSED, calls, found, **parts)


def newest(status: RunStatus = "completed") -> NewestRun:
    """The run before, as it stands."""
    return NewestRun("r0", 1, status)


def idle(**parts: Any) -> SessionState:
    """A session in which nothing runs or waits."""
    return SessionState(SESSION, **{"newest": newest(), **parts})


def decided(view: SessionState, message: SessionMessage, *, terms: Terms = TERMS, owner: str = "me") -> Effects:
    """What a message does to that session."""
    return decide(view, Request("s", message, owner), terms, NOW)


def told(effects: Effects) -> list[tuple[str, Any]]:
    """The chunks as (type, what tells them apart): the metadata's status, code, outcome or target agent."""
    keys = ("status", "code", "outcome", "to_agent", "fsm_state")
    shown = []
    for chunk in effects.chunks:
        metadata = chunk.metadata or {}
        shown.append((chunk.type, next((metadata[key] for key in keys if key in metadata), None)))
    return shown
