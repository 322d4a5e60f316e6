"""What must be true after everything that was done to the servers: read from the tables, compared with the clients."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.chaos.history import Numbered, calls_and_results, read_stored, texts_and_offers
from tests.chaos.ide import SurvivingIde


@dataclass
class Report:
    """The figures of one experiment; `print` shows them, the soak writes them down."""

    name: str
    seed: int
    figures: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    """What was not kept, in sentences."""

    def show(self) -> None:
        """Print the counts."""
        told = ", ".join(f"{key}: {value}" for key, value in self.figures.items())
        print("\n".join([f"\n{self.name} (seed {self.seed}): {told}", *self.violations]))


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def table_log(connection: psycopg.AsyncConnection[Any], session_id: str) -> list[Numbered]:
    """The log of a session as the table has it, in the form of the wire."""
    return (await read_stored(connection, session_id)).log


async def caught_up(connection: psycopg.AsyncConnection[Any], ide: SurvivingIde, within_s: float = 60.0) -> None:
    """Wait until the reader has come to the end of the log."""
    deadline = time.monotonic() + within_s
    query = "select last_seq from sessions where id = %s"
    while True:
        row = await (await connection.execute(query, (ide.session_id,))).fetchone()
        newest = ide.seen[-1][0] if ide.seen else 0
        if row is not None and newest == row[0]:
            return
        assert time.monotonic() < deadline, f"{ide.session_id}: the reader is at {newest}, the log at {row}"
        await asyncio.sleep(0.02)


async def check_reader(connection: psycopg.AsyncConnection[Any], ide: SurvivingIde) -> int:
    """Every event once, in order, as stored: the number of events. A failed check names the session."""
    await caught_up(connection, ide)
    stored = await table_log(connection, ide.session_id)
    numbers = [number for number, _ in ide.seen]
    doubled = [number for number, count in Counter(numbers).items() if count > 1]
    lost = sorted({number for number, _ in stored} - set(numbers))
    assert not doubled, f"{ide.session_id}: doubled events {doubled}"
    assert not lost, f"{ide.session_id}: lost events {lost}"
    assert ide.seen == stored, f"{ide.session_id}: an event differs from the table"
    return len(stored)


def check_view(session_id: str, log: list[Numbered]) -> None:
    """Deltas add up to the message that ends them, and no call is offered twice."""
    found = [*texts_and_offers(log, by_deed=False)]
    assert not found, f"{session_id}: {found}"


async def check_history(connection: psycopg.AsyncConnection[Any], session_id: str) -> list[tuple[str, str]]:
    """Every call of the history has its one result before the next message: the (role, content) of all messages."""
    stored = await read_stored(connection, session_id)
    found = [*calls_and_results(stored.messages)]
    assert not found, f"{session_id}: {found}"
    return [(message.role, message.content) for message in stored.messages]


async def orphans(connection: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    """Running runs whose worker has no lock: (run id, attempt)."""
    query = """select r.id, r.attempt from runs r where r.status = 'running' and not exists (
                 select 1 from pg_locks l where l.locktype = 'advisory' and l.objsubid = 2
                   and l.objid = cast(r.worker as oid))"""
    return dict(await (await connection.execute(query)).fetchall())


async def deadlocks(connection: psycopg.AsyncConnection[Any]) -> int:
    """How often PostgreSQL had to break a deadlock in this database."""
    row = await (
        await connection.execute("select deadlocks from pg_stat_database where datname = current_database()")
    ).fetchone()
    assert row is not None
    return int(row[0])
