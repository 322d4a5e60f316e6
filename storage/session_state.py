"""The state of a session: read in one statement with all that a decision depends on, and written in one.

On PostgreSQL; on SQLite the statements of a batch run one after the other. They read all that they write from their
parameter `rows`. In the one statement that parameter is empty unless the session, and the run if one is changed, stand
as the writer expects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from storage.database import Step, Transaction, stamp
from storage.tables.calls import CallRecord
from storage.tables.columns import read, read_object, read_objects
from storage.tables.plans import PlanRecord
from storage.tables.runs import Run, RunStatus
from storage.tables.sessions import Session

_ROWS = "%(rows)s"
_LOG_END = "(select last_seq from sessions where id = %(session_id)s)"
_NEW_LOG_END = "(select last_seq from head)"
"""A statement sees the tables as they were before it."""


@dataclass(frozen=True)
class NewestRun:
    """The run that the database took last, and how it stands."""

    id: str
    attempt: int
    status: RunStatus


@dataclass(frozen=True)
class SessionState:
    """A session and what is open in it: what is decided on it is written only while it stands so."""

    session: Session | None
    """Of any owner, deleted or not; None where there is none."""
    run: Run | None = None
    """The run that is running or paused."""
    round: tuple[CallRecord, ...] = ()
    """Every call of the newest pause of a paused run, oldest first: open calls are always among them."""
    named: CallRecord | None = None
    """The call that was asked for, whatever its state, or the one of the plan that was."""
    plan: PlanRecord | None = None
    """The plan that was asked for, else the one that waits or executes."""
    newest: NewestRun | None = None
    """The run that the database took last, whatever its status; None in a session without runs."""
    rules: tuple[dict[str, Any], ...] = ()
    """What the session remembers to allow, oldest first."""
    seen: str | None = None
    """The version of the session's row: a batch takes effect only while it is the same. None on SQLite."""

    @property
    def open_calls(self) -> tuple[CallRecord, ...]:
        """The calls that wait for a decision, a result or an answer."""
        return tuple(record for record in self.round if record.is_open)

    def overdue_calls(self, now: str) -> tuple[CallRecord, ...]:
        """The undecided calls whose time is over."""
        return tuple(record for record in self.open_calls if record.is_overdue(now))

    @property
    def is_busy(self) -> bool:
        """Whether a run of the session is running."""
        return self.run is not None and self.run.status == "running"


async def read_state(
    tx: Transaction, session_id: str, *, call_id: str | None = None, plan_id: str | None = None
) -> SessionState:
    """Read a session of any owner, deleted or not, and what is open in it."""
    row = await tx.row("session_state", session_id=session_id, call_id=call_id, plan_id=plan_id)
    if row is None:
        return SessionState(None)
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


@dataclass(frozen=True)
class SessionChange:
    """What a batch changes of its session's row; None leaves a value as it is."""

    creates_for: str | None = None
    """The owner of a session that the batch creates."""
    seen: str | None = None
    """The version of the row that a decision was made on, where the row has not been held since."""
    is_used: bool = False
    """Whether a swept session comes back."""
    is_active: bool = False
    title: str | None = None
    environment: Mapping[str, Any] | None = None
    agent: str | None = None
    chosen_by: str | None = None
    switches: int = 0


@dataclass(frozen=True)
class NewEvents:
    """Packed chunks for the end of the session's log, and the run that takes them back when it dies."""

    request_id: str
    chunks: Sequence[str]
    run_id: str | None = None


class Batch:
    """Collects statements by `run`, and executes them with `write`."""

    def __init__(self, tx: Transaction, session_id: str) -> None:
        self._tx = tx
        self.dialect = tx.dialect
        self.connection = tx.connection
        self._session_id = session_id
        self._parts: list[tuple[str, dict[str, Any]]] = []

    async def run(self, name: str, **parameters: Any) -> int:
        """Take a statement; it changes nothing before `write`."""
        assert "rows" in parameters, f"{name} reads what it writes from `rows`"
        self._parts.append((name, parameters))
        return 0

    async def write(
        self, session: SessionChange, events: NewEvents, run: Step | None = None, ends_paused: str | None = None
    ) -> int | None:
        """Write everything; returns where the log of the session ends now.

        None, and nothing is written, when the session is not as it was seen, its id is taken, or `run` has no effect.
        `ends_paused` is the status with which the paused run of the session ends.
        """
        now = stamp()
        written = json.dumps(session.environment, ensure_ascii=False) if session.environment is not None else None
        parameters = {
            "session_id": self._session_id,
            "seen": session.seen,
            "owner": session.creates_for,
            "now": now,
            "active_at": now if session.is_active else None,
            "is_used": int(session.is_used),
            "title": session.title,
            "environment": written,
            "agent": session.agent,
            "chosen_by": session.chosen_by,
            "switches": session.switches,
            "count": len(events.chunks),
            "ends_as": ends_paused,
            **(run.parameters if run is not None else {}),
            "of_run": events.run_id,
            "request_id": events.request_id,
            "chunks": json.dumps(list(events.chunks)),
        }
        is_new = session.creates_for is not None
        if self._tx.dialect == "sqlite":
            return await self._write_in_order(parameters, run, is_new=is_new)
        steps = (
            "insert_session" if is_new else "hold_session",
            *(["end_paused_run"] if ends_paused is not None else []),
            run.name if run is not None else "keep_run",
            "begin_log" if is_new else "change_session",
            *(["add_events"] if events.chunks else []),
        )
        for number, (_, own) in enumerate(self._parts):
            parameters |= {f"rows{number}" if key == "rows" else key: value for key, value in own.items()}
        parts, ending = tuple(name for name, _ in self._parts), "told_events" if events.chunks else "told_end"
        sql = composed(self._tx.statements, steps, parts, ending)
        row = await (await self._tx.connection.execute(sql, parameters)).fetchone()
        return None if row is None else int(row.last_seq)

    async def _write_in_order(self, parameters: Mapping[str, Any], run: Step | None, *, is_new: bool) -> int | None:
        tx, count = self._tx, parameters["count"]
        if is_new and await tx.value("insert_session", **parameters) is None:
            return None
        if parameters["ends_as"] is not None:
            await tx.run("end_paused_run", **parameters)
        if run is not None and await tx.value(run.name, **parameters) is None:
            return None
        last_seq: int | None = count if is_new else await tx.value("change_session", **parameters)
        if last_seq is None:
            return None
        if count:
            await tx.run("add_events", first_seq=last_seq - count + 1, **parameters)
        for name, own in self._parts:
            await tx.run(name, **own)
        return last_seq


@cache
def composed(statements: Any, steps: tuple[str, ...], parts: tuple[str, ...], ending: str) -> bytes:
    """The one statement of PostgreSQL."""

    def text_of(name: str) -> str:
        text: str = getattr(statements, name).sql
        return text.strip().rstrip(";")

    def part(number: int, name: str) -> str:
        rows = f"(select cast(%(rows{number})s as text) from head)"  # noqa: S608 only a number is put in
        return f"part{number} as ({text_of(name).replace(_ROWS, rows).replace(_LOG_END, _NEW_LOG_END)})"

    written = [*map(text_of, steps), *(part(number, name) for number, name in enumerate(parts))]
    return f"with {', '.join(written)}\n{text_of(ending)}".encode()
