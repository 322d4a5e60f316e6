"""Claiming a session for a run: one running run per session, the others wait in order of arrival (S28)."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from errors import SessionBusy
from runs import thread
from runs.broadcast import Feed
from runs.drive.attempt import Start, new_turn_input, start_driving
from runs.engine import Engine
from storage import calls, events, messages, runs
from storage.database import Transaction
from storage.events import Event
from storage.messages import MessageRecord
from storage.runs import Run
from storage.sessions import Session
from wire.chunks import done_chunk
from wire.frames import pack
from wire.protocol import Chunk, Outcome

CLAIM_POLL_S = 1.0
"""A bell can be missed while the listener reconnects: who waits also looks for himself."""
NO_USAGE: dict[str, int | None] = {
    "llm_calls": 0,
    "prompt_tokens": None,
    "completion_tokens": None,
    "total_tokens": None,
}


@dataclass(frozen=True)
class Ticket:
    """Where the answer to a request is found: the log of the session after a number, up to the request's `done`."""

    session_id: str
    request_id: str
    after: int


@dataclass(frozen=True)
class Claim:
    """What a transaction decided: the answer's place, the events it wrote, and the run it claimed."""

    ticket: Ticket
    written: list[Event]
    run: Run | None = None
    graph_input: Any = None
    """How to resume the run; None starts it from its journal."""


async def claim_in_turn(
    engine: Engine, session_id: str, attempt: Callable[[Transaction], Awaitable[Claim | None]]
) -> Claim:
    """Try `attempt` until the session is free; who waits is woken by its log. Raises SessionBusy after the wait."""
    async with engine.turn_at(session_id) as deadline:
        with engine.live.watch(session_id) as feed:
            while True:
                change = feed.next_change()
                async with engine.database.transaction() as tx:
                    claim = await attempt(tx)
                if claim is not None:
                    return claim
                await _until_free(engine, session_id, feed, change, deadline)


async def _until_free(engine: Engine, session_id: str, feed: Feed, change: asyncio.Event, deadline: float) -> None:
    """Wait until no run of the session is running; raises SessionBusy at the deadline."""
    while True:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise SessionBusy
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left, CLAIM_POLL_S)):
                await change.wait()
        engine.refuse_while_draining()
        change = feed.next_change()
        async with engine.database.autocommit() as tx:
            active = await runs.active(tx, session_id)
        if active is None or active.status != "running":
            return


async def begin(engine: Engine, claim: Claim) -> Ticket:
    """Show what the claim wrote and drive the run that it claimed."""
    engine.live.publish(claim.ticket.session_id, claim.written)
    run, resumed_with = claim.run, claim.graph_input
    if run is not None:

        async def prepare() -> Start:
            return Start(resumed_with if resumed_with is not None else await new_turn_input(engine, run))

        start_driving(engine, run, prepare)
    return claim.ticket


async def start_turn(
    engine: Engine,
    tx: Transaction,
    session: Session,
    request: MessageRecord,
    *,
    agent: str,
    chosen_by: str,
    previous_agent: str,
    version: int,
    chunks: Sequence[Chunk],
) -> Claim | None:
    """Claim the session for a new run, its input journaled in the run's row; None while another run is running."""
    engine.refuse_while_draining()
    last_status = await runs.last_status(tx, session.id)
    run = Run(
        id=str(uuid.uuid4()),
        session_id=session.id,
        request_id=str(uuid.uuid4()),
        input={
            "content": request.content,
            "message_id": request.id,
            "agent": agent,
            "chosen_by": chosen_by,
            "previous_agent": previous_agent,
            "repair": last_status not in (None, "completed"),
        },
        status="running",
        worker=engine.worker,
        attempt=1,
        protocol_version=version,
        cancel_requested=False,
        error=None,
    )
    if not await runs.start(tx, run):
        return None
    await messages.append(tx, session.id, [request], run_id=run.id)
    written = await events.append(tx, session.id, run.request_id, [pack(chunk) for chunk in chunks])
    return Claim(Ticket(session.id, run.request_id, session.last_seq), written, run)


async def resume_turn(
    engine: Engine, tx: Transaction, session: Session, paused: Run, version: int, chunks: Sequence[Chunk] = ()
) -> Claim:
    """Claim the paused run whose round is settled now; the chunks come before what it will say."""
    engine.refuse_while_draining()
    request_id = str(uuid.uuid4())
    written = await events.append(tx, session.id, request_id, [pack(chunk) for chunk in chunks])
    attempt = await runs.resume(tx, paused, request_id=request_id, worker=engine.worker, protocol_version=version)
    assert attempt is not None, "the session is held, so nobody else can have resumed its run"
    records = await calls.round_of(tx, paused.id)
    run = await runs.find(tx, paused.id)
    ticket = Ticket(session.id, request_id, session.last_seq)
    return Claim(ticket, written, run, thread.resume_command(records))


async def reply(tx: Transaction, session: Session, chunks: Sequence[Chunk], outcome: Outcome) -> Claim:
    """Answer a request without a run: these chunks, then done."""
    request_id = str(uuid.uuid4())
    packed = [pack(chunk) for chunk in [*chunks, done_chunk(outcome, NO_USAGE)]]
    written = await events.append(tx, session.id, request_id, packed)
    return Claim(Ticket(session.id, request_id, session.last_seq), written)
