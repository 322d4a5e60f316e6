"""The one executor of decisions: it reads the view of a session, and writes Effects in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from runs import thread
from runs.decision.effects import Effects, ResumeRun, StartRun
from runs.decision.supersede import overdue_calls
from runs.decision.view import Request, View
from runs.engine import Engine, Known
from runs.run_end import store_end
from storage.database import Transaction
from storage.tables import audit, calls, events, messages, plans, rules, runs, sessions, spending
from storage.tables.audit import AuditEntry
from storage.tables.calls import CallRecord
from storage.tables.events import Event
from storage.tables.runs import Run
from wire.chunks import PLAN_APPROVAL, pack
from wire.protocol import HitlDecision, PlanDecision, ToolResult


@dataclass(frozen=True)
class Applied:
    """What effects came to in the tables: the events they logged, and the run they claimed."""

    events: list[Event]
    run: Run | None = None
    graph_input: Any = None
    """How to resume the run; None starts it from its journal."""
    known: Known | None = None
    """What the run's context needs of the session, as it stands now."""
    last_seq: int = 0
    """With which event the log of the session ends now."""


async def read_view(tx: Transaction, request: Request, now: str) -> View:
    """Read what a decision about this request needs; holds the session until the transaction ends."""
    session = await sessions.find_any(tx, request.session_id, lock=True)
    if session is None:
        return View(None)
    state = await runs.state_of(tx, session.id)
    run = state.run
    is_paused = run is not None and run.status == "paused"
    waiting = tuple(await calls.round_of(tx, run.session_id, run.id)) if run is not None and is_paused else ()
    view = View(session, run, waiting, last_status=None if run is not None else state.last_status, rules=state.rules)
    match request.message:
        case ToolResult(call_id=str(call_id)) | PlanDecision(approval_request_id=str(call_id)) if call_id.startswith(
            PLAN_APPROVAL
        ):
            plan = await plans.find(tx, session.id, call_id.removeprefix(PLAN_APPROVAL))
            named = await _call(tx, view, plan.call_id) if plan else None
            return replace(view, plan=plan, named=named)
        case ToolResult(call_id=str(call_id)) | HitlDecision(call_id=str(call_id)):
            view = replace(view, named=await _call(tx, view, call_id))
            is_ending = bool(overdue_calls(view, now))
        case _:
            is_ending = True
    if is_ending and is_paused:
        view = replace(view, plan=await plans.active(tx, session.id))
    return view


async def _call(tx: Transaction, view: View, call_id: str) -> CallRecord | None:
    assert view.session is not None
    found = next((record for record in view.round if record.call_id == call_id), None)
    return found or await calls.find(tx, view.session.id, call_id)


async def apply(engine: Engine, tx: Transaction, view: View, request: Request, effects: Effects) -> Applied | None:
    """Write everything that was decided on this view; None when another request has created the session meanwhile."""
    session_id = request.session_id
    if effects.creates_session and not await sessions.create(tx, session_id, request.owner or ""):
        return None
    if effects.activity is not None:
        activity = effects.activity
        await sessions.touch(tx, session_id, title=activity.title, environment=activity.environment)
    if effects.calls:
        await calls.move(tx, session_id, effects.calls)
    if effects.plan is not None:
        await plans.store(tx, effects.plan.plan_id, effects.plan.summary, effects.plan.status)
    if effects.agent is not None:
        agent = effects.agent
        await sessions.set_agent(tx, session_id, agent.agent, agent.chosen_by, switches=agent.switches)
    if effects.allowances:
        assert view.session is not None
        assert view.run is not None, "a paused run has asked for them"
        await spending.allow(tx, view.run, view.session.owner, effects.allowances)
    for rule in effects.rules:
        await rules.add(tx, session_id, rule)
    if effects.ends_run is not None and view.run is not None:
        await store_end(tx, engine, view.run, "cancelled", effects.ends_run.outcome, effects.ends_run.code)
    if effects.cancels_run and view.run is not None:
        await runs.request_cancel(tx, view.run)
    run, graph_input = await _claim(tx, view, request, effects, engine.worker)
    await messages.append(tx, session_id, effects.messages)
    if effects.audit:
        await audit.append(tx, session_id, [_with_origin(entry, request) for entry in effects.audit])
    logged = await events.append(tx, session_id, effects.request_id, [pack(chunk) for chunk in effects.chunks])
    known = view.session.last_seq if view.session is not None else 0
    return Applied(logged, run, graph_input, _known(view, request, effects), logged[-1].seq if logged else known)


def _known(view: View, request: Request, effects: Effects) -> Known:
    session = view.session
    declared = effects.activity.environment if effects.activity is not None else None
    switches = effects.agent.switches if effects.agent is not None else 0
    return Known(
        environment=declared or (session.environment if session is not None else None),
        owner=session.owner if session is not None else request.owner or "",
        switch_count=(session.switch_count if session is not None else 0) + switches,
        rules=(*view.rules, *(rule.rule for rule in effects.rules)),
    )


def _with_origin(entry: AuditEntry, request: Request) -> AuditEntry:
    """Add the kind of client to what a person decided."""
    if entry.actor != "user" or request.via is None:
        return entry
    return replace(entry, details={**entry.details, "via": request.via})


async def _claim(
    tx: Transaction, view: View, request: Request, effects: Effects, worker: int
) -> tuple[Run | None, Any]:
    """The run that the effects claim, with the input that resumes it."""
    match effects.claims:
        case StartRun(journal):
            run = Run(
                id=request.run_id,
                session_id=request.session_id,
                request_id=effects.request_id,
                input=journal,
                status="running",
                worker=worker,
                attempt=1,
                protocol_version=request.version,
                cancel_requested=False,
                error=None,
            )
            is_claimed = await runs.start(tx, run)
            assert is_claimed, "the session row is locked and no run of it is running"
            return run, None
        case ResumeRun(answers):
            assert view.run is not None, "only a paused run is resumed"
            run = replace(
                view.run,
                request_id=effects.request_id,
                status="running",
                worker=worker,
                protocol_version=request.version,
                cancel_requested=False,
            )
            attempt = await runs.resume(
                tx, run, request_id=run.request_id, worker=worker, protocol_version=run.protocol_version
            )
            assert attempt is not None, "the session row is locked, so no other transaction can have resumed its run"
            return replace(run, attempt=attempt), thread.resume_command(answers)
        case None:
            return None, None
