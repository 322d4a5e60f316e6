"""The one executor of Effects: it reads the view of a session, and writes what a request or an attempt does to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from errors import RunLost
from runs import thread
from runs.decision.contract import CloseRun, Effects, ReleaseRun, Request, ResumeRun, StartRun
from runs.engine import Engine, Known
from storage.checkpoints import RunSaver
from storage.database import Step, Transaction
from storage.session_state import Batch, NewestRun, NewEvents, SessionChange, SessionState, read_state
from storage.tables import audit, calls, llm_calls, messages, plans, rules, runs, sessions, spending, webhooks
from storage.tables.audit import AuditEntry
from storage.tables.events import Event
from storage.tables.runs import Run
from storage.tables.webhooks import Webhook
from wire.chunks import PLAN_APPROVAL, pack
from wire.protocol import HitlDecision, Outcome, PlanDecision, ToolResult


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
    newest: NewestRun | None = None
    """The run of the session before, or the same one before it was resumed."""


async def read_view(tx: Transaction, request: Request, *, is_held: bool) -> SessionState:
    """Read what a decision about this request needs, in one statement.

    `is_held` holds the session until the transaction ends; otherwise `apply` takes effect only if it is still as read.
    """
    if is_held and tx.dialect == "postgresql":  # a transaction of SQLite holds everything
        await sessions.find_any(tx, request.session_id, lock=True)
    call_id = plan_id = None
    match request.message:
        case ToolResult(call_id=str(given)) | PlanDecision(approval_request_id=str(given)) if given.startswith(
            PLAN_APPROVAL
        ):
            plan_id = given.removeprefix(PLAN_APPROVAL)
        case ToolResult(call_id=str(given)) | HitlDecision(call_id=str(given)):
            call_id = given
    state = await read_state(tx, request.session_id, call_id=call_id, plan_id=plan_id)
    return replace(state, seen=None) if is_held else state


async def apply(
    engine: Engine, tx: Transaction, view: SessionState, request: Request, effects: Effects
) -> Applied | None:
    """Write what was decided on this view; None, and nothing is written, when the session is not as it was read."""
    known = view.session.last_seq if view.session is not None else 0
    if effects.cancels_run and view.run is not None:
        # The row of the run alone: a session that is locked or cannot be written holds no cancel up.
        return Applied([], last_seq=known) if await runs.request_cancel(tx, view.run) else None
    run, graph_input = _claimed(view, request, effects, engine.worker)
    claim: Step | None = None
    if run is not None:
        claim = runs.start(run) if graph_input is None else runs.resume(run)
    signed = replace(effects, audit=tuple(_with_origin(entry, request) for entry in effects.audit))
    owner = request.owner or "" if effects.creates_session else None
    told = None
    if effects.ends_run is not None and view.run is not None:
        told = _announcement(engine, view.run, effects.ends_run.outcome, effects.ends_run.code)
    logged = await _write(tx, request.session_id, signed, claim, told, creates_for=owner, seen=view.seen)
    if logged is None:
        return None
    if effects.allowances:
        assert view.session is not None
        assert view.run is not None, "a paused run has asked for them"
        await spending.allow(tx, view.run, view.session.owner, effects.allowances)
    return Applied(
        logged,
        run,
        graph_input,
        _known(view, request, effects),
        logged[-1].seq if logged else known,
        newest=view.newest,
    )


async def close(
    engine: Engine, tx: Transaction, run: Run, effects: Effects, saver: RunSaver | None = None
) -> list[Event]:
    """Write what an attempt leaves, its checkpoint included; raises RunLost when its run was taken over."""
    told = None
    match effects.closes:
        case CloseRun(status, outcome, code):
            step = runs.close(run, status, code)
            told = _announcement(engine, run, outcome, code, effects.new_calls)
        case ReleaseRun():
            step = runs.release(run)
        case None:
            raise AssertionError("an attempt that leaves its run as it is has not ended")
    stored = await _write(tx, run.session_id, effects, step, told, run=run, saver=saver)
    if stored is None:
        raise RunLost
    for plan in effects.new_plans:
        await plans.add(tx, run.session_id, plan.call_id, plan.summary, plan.replaces)
    if isinstance(effects.closes, ReleaseRun):
        await runs.notify_orphans(tx)
    return stored


async def close_alone(engine: Engine, tx: Transaction, run: Run, end: CloseRun, *, is_announced: bool) -> None:
    """End a run whose session cannot be written; raises RunLost when it was taken over."""
    await runs.close_alone(tx, run, end.status, end.code)
    told = _announcement(engine, run, end.outcome, end.code) if is_announced else None
    if told is not None:
        await webhooks.add(tx, told)


def _announcement(
    engine: Engine, run: Run, outcome: Outcome, code: str | None, records: Sequence[Mapping[str, Any]] = ()
) -> Webhook | None:
    """What the receiver of webhooks is told of the end or pause of a run; None without a receiver."""
    if engine.settings.webhook_url is None:
        return None
    waiting = [record for record in records if record["kind"] not in ("local_call", "budget")]
    return webhooks.announcement(run, outcome, code, waiting)


async def _write(
    tx: Transaction,
    session_id: str,
    effects: Effects,
    step: Step | None,
    told: Webhook | None,
    *,
    creates_for: str | None = None,
    seen: str | None = None,
    run: Run | None = None,
    saver: RunSaver | None = None,
) -> list[Event] | None:
    """Write the rows of effects; `run` is the one whose attempt has ended, and to which new rows belong."""
    if effects == Effects():
        return []
    batch, run_id = Batch(tx, session_id), run.id if run is not None else None
    packed = [pack(chunk) for chunk in effects.chunks]
    if effects.calls:
        await calls.move(batch, session_id, effects.calls)
    if effects.new_calls:
        await calls.insert(batch, effects.new_calls)
    # What a request says comes before what it is told, what an attempt says is in its chunks already.
    ahead = 0 if run is not None else len(packed)
    await messages.append(batch, session_id, effects.messages, run_id=run_id, ahead=ahead)
    await llm_calls.insert(batch, effects.llm_calls)
    if effects.audit:
        await audit.append(batch, session_id, effects.audit, run_id=run_id)
    if effects.rules:
        await rules.add(batch, session_id, effects.rules)
    if effects.plan is not None:
        await plans.store(batch, session_id, effects.plan.plan_id, effects.plan.summary, effects.plan.status)
    if told is not None:
        await webhooks.add(batch, told)
    if saver is not None:
        await saver.store(batch)
    activity, agent = effects.activity, effects.agent
    change = SessionChange(
        creates_for=creates_for,
        seen=seen,
        is_used=activity is not None,
        is_active=activity is not None or agent is not None,
        title=activity.title if activity is not None else None,
        environment=activity.environment if activity is not None else None,
        agent=agent.agent if agent is not None else None,
        chosen_by=agent.chosen_by if agent is not None else None,
        switches=agent.switches if agent is not None else 0,
    )
    ends_paused = "cancelled" if effects.ends_run is not None else None
    last_seq = await batch.write(change, NewEvents(effects.request_id, packed, run_id), step, ends_paused)
    if last_seq is None:
        return None
    first = last_seq - len(packed) + 1
    return [Event(first + number, effects.request_id, chunk) for number, chunk in enumerate(packed)]


def _known(view: SessionState, request: Request, effects: Effects) -> Known:
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


def _claimed(view: SessionState, request: Request, effects: Effects, worker: int) -> tuple[Run | None, Any]:
    """The run that the effects claim, as it stands then, with the input that resumes it."""
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
            return run, None
        case ResumeRun(answers):
            assert view.run is not None, "only a paused run is resumed"
            run = replace(
                view.run,
                request_id=effects.request_id,
                status="running",
                worker=worker,
                attempt=view.run.attempt + 1,
                protocol_version=request.version,
                cancel_requested=False,
            )
            return run, thread.resume_command(answers)
        case None:
            return None, None
