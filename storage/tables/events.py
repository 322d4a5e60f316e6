"""The event log: every chunk of a session, numbered in the order of writing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from errors import RunLost
from storage.database import Transaction, stamp
from storage.tables.runs import Run

MAX_READ_CHARS = 8_388_608


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Event:
    """One event: its number, the request that it answers, and its chunk packed by `wire.chunks`."""

    seq: int
    request_id: str
    packed: str
    frames: dict[int, bytes | None] = field(default_factory=dict, compare=False, repr=False)
    """By protocol version: the event as it is sent, made once for all its readers by `api.streaming`."""


class Addition(NamedTuple):
    """Packed chunks of a run for the log of its session, which ends at the event `after`."""

    run: Run
    after: int
    chunks: Sequence[str]


async def append(
    tx: Transaction,
    session_id: str,
    request_id: str,
    chunks: Sequence[str],
    *,
    run: Run | None = None,
    durable: bool = True,
) -> list[Event]:
    """Append packed chunks; raises RunLost when `run` was taken over. Only `durable` waits for the disk."""
    if not chunks:
        return []
    fence = {"run_id": run.id if run else None, "attempt": run.attempt if run else None}
    common = {"session_id": session_id, "run_id": fence["run_id"], "request_id": request_id, "now": stamp()}
    if tx.dialect == "postgresql":
        row = await tx.row(
            "append_events",
            **common,
            attempt=fence["attempt"],
            count=len(chunks),
            chunks=json.dumps(list(chunks)),
            sync="on" if durable else "off",
        )
    else:
        row = await tx.row("number_events", session_id=session_id, count=len(chunks), **fence)
    if row is None:
        raise RunLost
    first = row.last_seq - len(chunks) + 1
    if tx.dialect == "sqlite":
        await tx.run("insert_events", first_seq=first, chunks=json.dumps(list(chunks)), **common)
    return [Event(first + index, request_id, packed) for index, packed in enumerate(chunks)]


async def append_batch(tx: Transaction, additions: Sequence[Addition]) -> list[list[Event]]:
    """Append what many runs say, without waiting for the disk: the events of each, in order.

    Empty where a run is left out: its session is locked or its log does not end at `after`, or the run was taken over.
    """
    entries = [
        {
            "session_id": run.session_id,
            "run_id": run.id,
            "attempt": run.attempt,
            "request_id": run.request_id,
            "after": after,
            "chunks": chunks,
        }
        for run, after, chunks in additions
    ]
    if tx.dialect == "postgresql":
        rows = await tx.rows("append_batch", batch=json.dumps(entries), now=stamp())
    else:
        rows = await tx.rows("number_batch", batch=json.dumps(entries))
    taken = {(row.session_id, row.attempt) for row in rows}
    if tx.dialect == "sqlite" and taken:
        entries = [entry for entry in entries if (entry["session_id"], entry["attempt"]) in taken]
        await tx.run("insert_batch", batch=json.dumps(entries), now=stamp())
    return [
        [Event(after + number, run.request_id, packed) for number, packed in enumerate(chunks, start=1)]
        if (run.session_id, run.attempt) in taken
        else []
        for run, after, chunks in additions
    ]


async def read(
    tx: Transaction, session_id: str, after: int, *, limit: int = 500, max_chars: int = MAX_READ_CHARS
) -> list[Event]:
    """Return the next events after a number: one or more, at most `limit`, after the first within `max_chars`."""
    rows = await tx.rows("read_events", session_id=session_id, after=after, limit=limit, max_chars=max_chars)
    return [Event(row.seq, row.request_id, row.chunk) for row in rows]


async def of_run(tx: Transaction, run: Run, after: int) -> list[Event]:
    """Return the events of a run's request after a number: they show whether an unconfirmed write was stored."""
    rows = await tx.rows(
        "events_of_run", session_id=run.session_id, run_id=run.id, request_id=run.request_id, after=after
    )
    return [Event(row.seq, row.request_id, row.chunk) for row in rows]


async def void_from(tx: Transaction, run: Run, after: int) -> int | None:
    """Return the number of the first text that a run showed of its request after a number, or None."""
    first: int | None = await tx.value(
        "void_from", session_id=run.session_id, run_id=run.id, request_id=run.request_id, after=after
    )
    return first


async def oldest(tx: Transaction, session_id: str) -> int | None:
    """Return the first number of a session's log."""
    first: int | None = await tx.value("oldest_event", session_id=session_id)
    return first


async def trim(tx: Transaction, keep: int) -> list[str]:
    """Delete the oldest events of logs longer than `keep`; returns the sessions."""
    overlong = [row.id for row in await tx.rows("overlong_logs", keep=keep)]
    for session_id in overlong:
        await tx.run("trim_log", session_id=session_id, keep=keep)
    return overlong
