"""A session and what is open in it, read in one statement: all that a decision about the session depends on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from storage.database import Transaction
from storage.tables.calls import CallRecord
from storage.tables.columns import read, read_object, read_objects
from storage.tables.plans import PlanRecord
from storage.tables.runs import Run, RunStatus
from storage.tables.sessions import Session


@dataclass(frozen=True)
class NewestRun:
    """The run that the database took last, and how it stands."""

    id: str
    attempt: int
    status: RunStatus


@dataclass(frozen=True)
class SessionState:
    """One session as of one moment."""

    session: Session
    run: Run | None
    """The run that is running or paused."""
    round: tuple[CallRecord, ...]
    """Every call of the newest pause of a paused run, oldest first."""
    newest: NewestRun | None
    rules: tuple[dict[str, Any], ...]
    """What the session remembers to allow, oldest first."""
    named: CallRecord | None
    """The call that was asked for, or the one of the plan that was."""
    plan: PlanRecord | None
    """The plan that was asked for, else the one that waits or executes."""
    seen: str | None
    """The version of the session's row: a batch takes effect only while it is the same. None on SQLite."""


async def read_state(
    tx: Transaction, session_id: str, *, call_id: str | None = None, plan_id: str | None = None
) -> SessionState | None:
    """Read a session of any owner, deleted or not; None without one."""
    row = await tx.row("session_state", session_id=session_id, call_id=call_id, plan_id=plan_id)
    if row is None:
        return None
    run = read_object(Run, row.run)
    return SessionState(
        session=read(Session, row),
        run=run,
        round=read_objects(CallRecord, row.round) if run is not None and run.status == "paused" else (),
        newest=NewestRun(**json.loads(row.newest)) if row.newest else None,
        rules=tuple(json.loads(rule) for rule in json.loads(row.rules or "[]")),
        named=read_object(CallRecord, row.named),
        plan=read_object(PlanRecord, row.plan),
        seen=row.seen,
    )
