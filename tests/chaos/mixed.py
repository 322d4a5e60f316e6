"""Faults of all kinds, drawn by seed, under turns with calls and approvals; the history of every session is checked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg

from tests.chaos.clocks import ShiftedInstance
from tests.chaos.cluster import Cluster
from tests.chaos.counting_model import CountingModel
from tests.chaos.facts import Report, percentile
from tests.chaos.faults.clients import CLIENT_FAULTS
from tests.chaos.faults.database import DATABASE_FAULTS
from tests.chaos.faults.link import LINK_FAULTS
from tests.chaos.faults.model import MODEL_FAULTS
from tests.chaos.faults.process import PROCESS_FAULTS
from tests.chaos.faults.world import Fault, Met, NoOccasion, World
from tests.chaos.faulty_link import FaultyLink
from tests.chaos.history import Stored, Violation, read_stored, repeated_model_calls, violations
from tests.chaos.ide import http_client
from tests.chaos.outage import Postgres
from tests.chaos.witness import Stuck, Turn, WitnessIde
from tests.openai_stub import OpenAIStub

FAULTS = (*PROCESS_FAULTS, *LINK_FAULTS, *DATABASE_FAULTS, *CLIENT_FAULTS, *MODEL_FAULTS)
SESSIONS = 4
TURNS_A_SESSION = 6
SETTLE_S = 3.0
"""What a fault leaves behind may be met so long after its end."""
SLOWEST = 5
"""So many take-overs are named with the fault before them."""
FAULT_S = 300.0
CHECK_S = 120.0
SETTINGS: dict[str, Any] = {
    "llm_model": "counted",
    "llm_breaker_failures": 0,
    "multi_agent_mode": False,
    "max_messages": 1_000_000,
}


@dataclass
class _Tally:
    """What came of the sessions."""

    turns: list[Turn] = field(default_factory=list)
    events: int = 0
    executed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    found: list[Violation] = field(default_factory=list)


def name_of(fault: Fault) -> str:
    """What a fault is called in the report."""
    return (fault.__doc__ or "").strip()


def draw(count: int, seed: int) -> list[Fault]:
    """So many faults: all kinds in an order of the seed, then all kinds in another one, and so on."""
    chance, drawn = random.Random(seed), list[Fault]()
    while len(drawn) < count:
        drawn += chance.sample(FAULTS, len(FAULTS))
    return drawn[:count]


async def mix(postgres: Postgres, count: int, seed: int) -> Report:
    """Do `count` faults one after another, over two instances; the violations that were found stand in the report."""
    tally = _Tally()
    async with contextlib.AsyncExitStack() as stack:
        db_url = stack.enter_context(postgres.server.database())
        model = CountingModel(stack.enter_context(OpenAIStub()))
        links = [FaultyLink(db_url) for _ in range(2)]
        cluster = Cluster(db_url, 0, seed)
        for link in links:
            behind = await stack.enter_async_context(link.listening())
            cluster.instances.append(ShiftedInstance(behind, 0.0, llm_proxy_url=model.url, **SETTINGS))
        await stack.enter_async_context(cluster)
        client = await stack.enter_async_context(http_client())
        world = World(db_url, postgres, cluster, links, model, random.Random(seed))
        stopped = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for place in range(SESSIONS):
                world.clients.append(WitnessIde(cluster, client, "", 0))
                group.create_task(_sessions(world, client, place, stopped, tally))
            for fault in draw(count, seed):
                try:
                    await _meet(world, fault)
                except (AssertionError, TimeoutError) as error:  # the world is not as it was: the rest proves nothing
                    tally.found.append(Violation("stuck", f"{name_of(fault)}: {error}"))
                    break
                await world.hold(0.3, 1.0)
            stopped.set()
    return _report(world, tally, seed)


async def _meet(world: World, fault: Fault) -> None:
    began = time.monotonic()
    async with asyncio.timeout(FAULT_S):
        while True:
            try:
                await fault(world)
                break
            except NoOccasion:
                continue
        await world.all_serving()
    world.met.append(Met(name_of(fault), began, time.monotonic()))


async def _sessions(world: World, client: httpx.AsyncClient, place: int, stopped: asyncio.Event, tally: _Tally) -> None:
    """Have turns in one session after another until told to stop; check each session once it is over."""
    number = 0
    while not stopped.is_set():
        session_id = f"mix-{place}-{number}"
        ide = world.clients[place] = WitnessIde(world.cluster, client, session_id, 1000 * place + number)
        ide.witness.excused |= world.excused
        number += 1
        async with _reading(ide):
            try:
                for turn in range(TURNS_A_SESSION):
                    if stopped.is_set():
                        break
                    await ide.turn_of(f"Turn {turn} of {session_id}.")
            except Stuck as stuck:
                tally.found.append(Violation("stuck", str(stuck)))
            except AssertionError as refused:
                tally.found.append(Violation("unanswered", str(refused)))
            stored = await _stored_when_read(world, ide)
        tally.turns += ide.turns
        tally.events += len(stored.log)
        tally.executed += sum(ide.witness.executed.values())
        tally.failed.update(run.error for run in stored.runs if run.error)
        tally.found += violations(ide.witness, stored)


@contextlib.asynccontextmanager
async def _reading(ide: WitnessIde) -> AsyncIterator[None]:
    reading = asyncio.create_task(ide.read())
    try:
        yield
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _stored_when_read(world: World, ide: WitnessIde) -> Stored:
    """What the database holds of a session, once its reader has come to the end of it or does not come there."""
    deadline = time.monotonic() + CHECK_S
    while True:
        with contextlib.suppress(psycopg.OperationalError):  # the database is away
            async with world.connection() as connection:
                stored = await read_stored(connection, ide.session_id)
            if (ide.seen and ide.seen[-1][0] >= stored.last_seq) or time.monotonic() > deadline:
                return stored
        await asyncio.sleep(0.1)


def _report(world: World, tally: _Tally, seed: int) -> Report:
    faulted = 0
    repeated: list[int] = []
    for turn in tally.turns:
        met = sum(fault.began <= turn.ended and turn.began <= fault.ended + SETTLE_S for fault in world.met)
        answered = world.model.answered[turn.content]
        faulted += met > 0
        repeated.append(sum(answered.values()) - len(answered))
        tally.found += repeated_model_calls(answered, met, named=turn.content)
    tally.found += [Violation("model", told) for told in world.model.violations]
    kinds = Counter(fault.kind for fault in world.met)
    broken = Counter(violation.kind for violation in tally.found)
    taken_after = [took_s for took_s, _ in world.taken_after]
    slowest = sorted(world.taken_after, reverse=True)[:SLOWEST]
    figures: dict[str, Any] = {
        "faults": len(world.met),
        "kinds of faults": len(kinds),
        "turns": len(tally.turns),
        "turns that met a fault": faulted,
        "turns that ended with an error of the model or of their own refused table": sum(tally.failed.values()),
        "events": tally.events,
        "calls executed by clients": tally.executed,
        "events, messages or results lost": broken["lost"] + broken["differs"] + broken["out of order"],
        "events, messages or results doubled": broken["doubled"] + broken["text"],
        "messages without an answer": broken["unanswered"],
        "sessions stuck": broken["stuck"],
        "calls offered twice": broken["offered twice"],
        "calls executed twice": broken["executed twice"],
        "model calls": sum(sum(answered.values()) for answered in world.model.answered.values()),
        "model calls repeated": sum(repeated),
        "turns with one repeated model call; with more": f"{repeated.count(1)}; {sum(n > 1 for n in repeated)}",
        "turns with more repeated calls than faults met": broken["model"],
        "runs taken over from dead workers": len(taken_after),
        "take-over p50 s": round(percentile(taken_after, 0.5), 2),
        "take-over p95 s": round(percentile(taken_after, 0.95), 2),
        "take-over max s": round(max(taken_after, default=0.0), 2),
        "slowest take-overs s": "; ".join(f"{s:.2f} after {kind}" for s, kind in slowest),
        "load average of the machine": ", ".join(f"{load:.1f}" for load in os.getloadavg()),
        **{f"met: {kind}": met for kind, met in sorted(kinds.items())},
    }
    return Report("Faults of all kinds", seed, figures, [violation.told for violation in tally.found])
