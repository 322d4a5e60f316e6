"""One request on its way: wait for the session, decide, apply in one transaction, show, drive the claimed run.

Scenarios such as S28: docs/scenarios.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from errors import AgentRuntimeError, NotReady, QueueFull, SessionBusy
from runs.apply import Applied, apply, read_view
from runs.decision.contract import WAITS_FOR_A_RUN, Effects, Request, ResumeRun, StartRun
from runs.decision.decide import decide
from runs.drive.attempt import Start, new_turn_input, start_driving
from runs.engine import ClaimQueue, Engine
from runs.log.broadcast import Feed
from storage.database import Transaction, now, stamp
from storage.session_state import SessionState
from storage.tables import runs
from telemetry import tracing

CLAIM_POLL_S = 1.0
"""Waiters also poll: a notification can be missed while the listener reconnects."""
DECISIONS = frozenset({"approval_decided", "approval_implicit", "approval_expired", "plan_decided"})
SETTLED = frozenset({"done", "failed", "rejected", "expired", "superseded", "cancelled"})
MAX_DECISIONS = 4
"""How often a request is decided on a held session: again after an expiry, and after a lost race for a new id."""


@dataclass(frozen=True)
class Taken:
    """A request that was decided and stored."""

    request: Request
    view: SessionState
    effects: Effects

    @property
    def after(self) -> int:
        """The answer stands in the log of the session after this number, up to the request's `done`."""
        return self.view.session.last_seq if self.view.session is not None else 0

    @property
    def is_running(self) -> bool:
        """Whether a run goes on because of the request."""
        return self.effects.claims is not None


async def take(engine: Engine, request: Request) -> Taken:
    """Take a request; returns when it is stored and its run, if it claimed one, is driven in the background.

    Raises SessionBusy after SESSION_WAIT_SECONDS (S28), and every refusal that the client reads in no chunk.
    """
    if not isinstance(request.message, WAITS_FOR_A_RUN):
        taken = await _try(engine, request)
        assert taken is not None, "it does not wait for a run"
        return taken
    async with _turn(engine, request.session_id) as deadline:
        with engine.broadcast.watch(request.session_id) as feed:
            while True:
                change = feed.next_change()
                taken = await _try(engine, request)
                if taken is not None:
                    return taken
                await _until_free(engine, request.session_id, feed, change, deadline)


@contextlib.asynccontextmanager
async def _turn(engine: Engine, session_id: str) -> AsyncIterator[float]:
    """Wait for the right to claim a session; gives the moment (of the loop's clock) until which to wait for it.

    Raises QueueFull when MAX_WAITING_PER_SESSION requests wait already, SessionBusy when that moment passes in the
    queue. Only the waiting is limited, never a claim: a claim that is cut off while it commits would take a message
    and say that it did not.
    """
    deadline = asyncio.get_running_loop().time() + engine.settings.session_wait_seconds
    queue = engine.claims.setdefault(session_id, ClaimQueue())
    if queue.requests > engine.settings.max_waiting_per_session:
        raise QueueFull
    queue.requests += 1
    try:
        try:
            async with asyncio.timeout_at(deadline):
                await queue.lock.acquire()
        except TimeoutError as error:
            raise SessionBusy from error
        try:
            yield deadline
        finally:
            queue.lock.release()
    finally:
        queue.requests -= 1
        if not queue.requests:
            engine.claims.pop(session_id, None)


@dataclass(frozen=True)
class _Decided:
    """Decisions that are written, in order; without any the request has to wait for a running run."""

    view: SessionState
    """What the last decision was made on."""
    done: list[tuple[Effects, Applied]]
    refusal: AgentRuntimeError | None = None
    """Why the request is refused after what was decided before it."""


async def _try(engine: Engine, request: Request) -> Taken | None:
    """Decide and write; None while a run is running that the request has to wait for.

    The session is read without being held, and what is decided is written only if it stands as it was read. Where it
    does not, it is held and decided again.
    """
    try:
        decided: _Decided | None = None
        if engine.database.fences_writes:
            async with engine.database.autocommit() as tx:
                decided = await _decide(engine, tx, request, is_held=False)
        if decided is None:
            async with engine.database.transaction() as tx:
                decided = await _decide(engine, tx, request, is_held=True)
        if decided is None:
            raise SessionBusy
        return _carry_out(engine, request, decided)
    finally:
        if request.run_id not in engine.tasks:  # admitted, and refused or not stored after all
            engine.load.run_ends(request.run_id)


def _carry_out(engine: Engine, request: Request, decided: _Decided) -> Taken | None:
    """Drive the claimed run, show what was logged, and raise the refusal of what is written."""
    refusal = decided.refusal
    for effects, applied in decided.done:
        if applied.run is not None and request.owner is not None:
            engine.load.run_begins(applied.run.id, request.owner)
        # The readers' feed begins before the events of this request.
        _drive(engine, effects, applied)
        engine.broadcast.publish(request.session_id, applied.events)
        _count(engine, effects)
        if effects.refusal is not None and not effects.chunks:
            refusal = effects.refusal
    if refusal is not None:
        raise refusal
    return Taken(request, decided.view, decided.done[-1][0]) if decided.done else None


async def _decide(engine: Engine, tx: Transaction, request: Request, *, is_held: bool) -> _Decided | None:
    """Decide until nothing is to be decided again; None when the session has changed meanwhile, or has to be held.

    Raises the refusals for which nothing is written.
    """
    done: list[tuple[Effects, Applied]] = []
    for _ in range(MAX_DECISIONS if is_held else 1):
        view = await read_view(tx, request, is_held=is_held)
        try:
            effects = decide(view, request, engine.terms, stamp())
        except AgentRuntimeError as error:
            if not done:
                raise
            return _Decided(view, done, error)
        if effects.must_wait:
            return _Decided(view, done)
        if not is_held and effects.needs_hold:
            return None
        if effects.claims is not None:
            _refuse_while_draining(engine)
        if isinstance(effects.claims, StartRun) and request.owner is not None:
            engine.load.admit(request.run_id, request.owner)
        applied = await apply(engine, tx, view, request, effects)
        if applied is not None:
            done.append((effects, applied))
            if not effects.decide_again:
                return _Decided(view, done)
    return None


def _refuse_while_draining(engine: Engine) -> None:
    """Raise NotReady in a process that is shutting down; another one takes the request."""
    if engine.is_draining:
        raise NotReady("The server is restarting; send the request again.")


async def has_ended(engine: Engine, taken: Taken) -> bool:
    """Whether the run that goes on because of a request answers it no more: it is closed, or gone with its session."""
    claims = taken.effects.claims
    if claims is None:
        return True
    run_id = taken.view.run.id if isinstance(claims, ResumeRun) and taken.view.run else taken.request.run_id
    async with engine.database.autocommit() as tx:
        run = await runs.find(tx, run_id)
    return run is None or run.status != "running" or run.request_id != taken.request.request_id


def _count(engine: Engine, effects: Effects) -> None:
    """Count what was ended, decided and settled, and record the wait for the results that let a run go on."""
    if effects.ends_run is not None:
        engine.meters.turn_ended(effects.ends_run.outcome)
    calls = {record.call_id: record for record in effects.calls}
    for entry in effects.audit:
        if entry.event in DECISIONS:
            record = calls.get(entry.call_id or "")
            decision = str(entry.details.get("decision") or entry.event.removeprefix("approval_"))
            engine.meters.decided(entry.tool_name or "", decision, record.age_s if record else None)
    for record in effects.calls:
        if record.state in SETTLED and record.is_tool_call:
            engine.meters.settled(record.tool_name, record.state, record.age_s)


def _drive(engine: Engine, effects: Effects, applied: Applied) -> None:
    run, graph_input = applied.run, applied.graph_input
    if run is None:
        return
    for answer in effects.claims.answers if isinstance(effects.claims, ResumeRun) else ():
        tracing.past(
            f"execute_tool {answer.tool_name}",
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": answer.tool_name,
                "gen_ai.tool.call.id": answer.call_id,
                "codelab.call.state": answer.state,
            },
            datetime.fromisoformat(answer.created_at),
            now(),
            traceparent=run.input.get("trace"),
        )

    async def prepare() -> Start:
        given = graph_input
        if given is None:
            given = await new_turn_input(engine, run, is_first=applied.newest is None)
        return Start(given, applied.last_seq, applied.known, applied.newest)

    start_driving(engine, run, prepare, applied.last_seq - len(applied.events))


async def _until_free(engine: Engine, session_id: str, feed: Feed, change: asyncio.Event, deadline: float) -> None:
    """Wait until no run of the session is running; raises SessionBusy at the deadline."""
    while True:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise SessionBusy
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left, CLAIM_POLL_S)):
                await change.wait()
        _refuse_while_draining(engine)
        change = feed.next_change()
        async with engine.database.autocommit() as tx:
            active = await runs.active(tx, session_id)
        if active is None or active.status != "running":
            return
