"""`agent-runtime import-legacy`: sessions of the original service into our tables, each in one transaction."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from storage.checkpoints import Checkpoints, RunSaver
from storage.connect import open_database
from storage.database import Transaction, stamp
from storage.legacy.conversion import (
    Converted,
    Skipped,
    convert_approvals,
    convert_messages,
    convert_plans,
    convert_switches,
    session_id_of,
)
from storage.legacy.source import Row, Source, first_time, read_source, time_of
from storage.schema import migrate
from storage.tables import audit, calls, messages, runs
from storage.tables.messages import MessageRecord
from storage.tables.runs import Run

FIRST_AGENT = "orchestrator"


@dataclass(frozen=True)
class Paused:
    """A call that waits for its approval, and the thread that is interrupted for it."""

    record: dict[str, Any]
    saver: RunSaver


class Pause(Protocol):
    """Makes the run of an imported session wait for a pending approval; None when the policy would not ask here."""

    async def __call__(
        self, checkpoints: Checkpoints, run: Run, history: Sequence[MessageRecord], call: Mapping[str, Any]
    ) -> Paused | None:
        """Make the thread that is interrupted before `call`; nothing is stored yet."""


@dataclass
class Report:
    """The result of an import."""

    counts: Counter[str] = field(default_factory=Counter)
    mapped: dict[str, str] = field(default_factory=dict)
    """Session ids that are not valid here, each with the id that replaces it."""
    skipped: list[Skipped] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        kinds = ("sessions", "already imported", "messages", "switches", "approvals", "plans")
        found = [f"{kind}: {self.counts[kind]}" for kind in kinds]
        found += [f"session {old!r} has the id {new}" for old, new in self.mapped.items()]
        return found + [f"skipped {s.table} {s.id}: {s.reason}" for s in self.skipped]


async def import_legacy(source_url: str, db_url: str, *, owner: str, agents: Collection[str], pause: Pause) -> Report:
    """Import every session that does not exist yet; `agents` are the names that a session may have as current.

    `owner` is the principal that the sessions belong to, "" for keys without a name (`docs/settings.md`).
    Raises ConfigurationError when a database cannot be used. Repeating it changes nothing.
    """
    source = await asyncio.to_thread(read_source, source_url)
    await migrate(db_url)
    database = await open_database(db_url)
    checkpoints = Checkpoints(database)
    report = Report()
    try:
        await checkpoints.open()
        found = sorted(source.rows("sessions"), key=lambda row: time_of(row["last_activity"]) or "")
        began = datetime.now(UTC)
        for number, row in enumerate(found):
            session = _convert(source, row, agents)
            # In the old order, but active now: idle for SESSION_MAX_AGE_HOURS they would be hidden at once.
            used_at = stamp(began + timedelta(microseconds=number))
            context = _context_of(source, session.source_id)
            agent = str(context["current_agent"]) if context.get("current_agent") in agents else FIRST_AGENT
            async with database.autocommit() as tx:
                is_here = await runs.find(tx, session.run_id) is not None
            if is_here:
                report.counts["already imported"] += 1
                continue
            run, paused = runs.ended_early(session.run_id, session.id, session.messages, agent), None
            if session.last_call is not None and row["deleted_at"] is None:
                paused = await pause(checkpoints, run, session.messages, session.last_call)
            async with database.transaction(long=True) as tx:
                values = {**row, **context, "id": session.id, "owner": owner, "agent": agent, "used_at": used_at}
                is_new = await _store(tx, values, run, session, paused)
            _report_session(report, session, context, agent, paused=paused, is_new=is_new)
        _report_rows_of_no_session(source, report)
    finally:
        await checkpoints.close()
        await database.close()
    return report


def _convert(source: Source, row: Row, agents: Collection[str]) -> Converted:
    source_id = str(row["id"])
    session = Converted(session_id_of(source_id), source_id)
    convert_messages(session, source.by("messages", "session_db_id").get(source_id, []))
    contexts = source.by("agent_contexts", "session_db_id").get(source_id, [])
    switches = source.by("agent_switches", "context_db_id")
    convert_switches(session, [switch for context in contexts for switch in switches.get(str(context["id"]), [])])
    approvals = source.by("pending_approvals", "session_id").get(source_id, [])
    agent = _context_of(source, source_id).get("current_agent")
    convert_approvals(session, approvals, str(agent) if agent in agents else FIRST_AGENT)
    plans = source.by("plans", "session_id").get(source_id, [])
    convert_plans(session, plans, source.by("subtasks", "plan_id"), agents)
    return session


def _context_of(source: Source, source_id: str) -> Row:
    found = source.by("agent_contexts", "session_db_id").get(source_id, [])
    return max(found, key=lambda row: time_of(row["updated_at"]) or "", default={})


async def _store(
    tx: Transaction, values: Mapping[str, Any], run: Run, session: Converted, paused: Paused | None
) -> bool:
    """Write a session with all its rows; False when another session has its id."""
    is_new = await tx.value(
        "import_session",
        session_id=session.id,
        owner=values["owner"],
        title=values.get("title"),
        description=values.get("description"),
        created_at=first_time(values.get("created_at"), values.get("last_activity")),
        last_activity=values["used_at"],
        deleted_at=time_of(values.get("deleted_at")),
        current_agent=values["agent"],
        switch_count=values.get("switch_count") or 0,
    )
    if is_new is None:
        return False
    await runs.insert_ended(tx, run, "paused" if paused else run.status, now=values["used_at"])
    await messages.append(tx, session.id, session.messages, run_id=run.id)
    await audit.append(tx, session.id, session.switches, run_id=run.id)
    waiting = paused.record if paused else {}
    await calls.insert(tx, [waiting if call["call_id"] == waiting.get("call_id") else call for call in session.calls])
    if paused is not None:
        await paused.saver.store(tx)
    for plan in session.plans:
        written = json.dumps(plan["summary"], ensure_ascii=False)
        rest = {key: plan[key] for key in ("version", "status", "created_at", "updated_at")}
        await tx.run("import_plan", plan_id=plan["summary"]["plan_id"], session_id=session.id, summary=written, **rest)
    return True


def _report_session(
    report: Report, session: Converted, context: Row, agent: str, *, paused: Paused | None, is_new: bool
) -> None:
    if not is_new:
        report.skipped.append(Skipped("sessions", session.source_id, f"there is another session {session.id}"))
        return
    if session.id != session.source_id:
        report.mapped[session.source_id] = session.id
    if context and context["current_agent"] != agent:
        reason = f"the agent {context['current_agent']} does not exist here: the session starts with {agent}"
        session.skip("agent_contexts", context, reason)
    waiting = paused.record["call_id"] if paused else None
    for call in session.calls:
        if call["state"] == "superseded" and call["call_id"] != waiting:
            reason = "imported as superseded: its call is gone"
            report.skipped.append(Skipped("pending_approvals", call["call_id"], reason))
    report.skipped += session.skipped
    report.counts["sessions"] += 1
    report.counts["messages"] += len(session.messages)
    report.counts["switches"] += len(session.switches)
    report.counts["approvals"] += len(session.calls)
    report.counts["plans"] += len(session.plans)


def _report_rows_of_no_session(source: Source, report: Report) -> None:
    known = {str(row["id"]) for row in source.rows("sessions")}
    for table, column in (("messages", "session_db_id"), ("pending_approvals", "session_id"), ("plans", "session_id")):
        for row in source.rows(table):
            if str(row[column]) not in known:
                report.skipped.append(Skipped(table, str(row["id"]), f"its session {row[column]} does not exist"))
