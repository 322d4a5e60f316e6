"""`agent-runtime import-legacy`: sessions of the original service into our tables, each in one transaction."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from storage import audit, calls, messages, runs
from storage.clock import stamp
from storage.connect import open_database
from storage.database import Transaction
from storage.legacy.conversion import (
    Converted,
    Skipped,
    convert_approvals,
    convert_messages,
    convert_plans,
    convert_switches,
    session_id_of,
)
from storage.legacy.source import Row, Source, read_source, time_of
from storage.schema import migrate

FIRST_AGENT = "orchestrator"


@dataclass
class Report:
    """What an import did."""

    counts: Counter[str] = field(default_factory=Counter)
    mapped: dict[str, str] = field(default_factory=dict)
    """Session ids that our form refuses, each with the id that stands for it."""
    skipped: list[Skipped] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report for people."""
        kinds = ("sessions", "already imported", "messages", "switches", "approvals", "plans")
        found = [f"{kind}: {self.counts[kind]}" for kind in kinds]
        found += [f"session {old!r} has the id {new}" for old, new in self.mapped.items()]
        return found + [f"skipped {s.table} {s.id}: {s.reason}" for s in self.skipped]


async def import_legacy(source_url: str, db_url: str, *, owner: str, agents: Collection[str]) -> Report:
    """Import every session that is not here yet; `agents` are the names that a session may have as current.

    `owner` is the principal that the sessions belong to, "" for keys without a name (`docs/settings.md`).
    Raises ConfigurationError when a database cannot be used. Repeating it changes nothing.
    """
    source = await asyncio.to_thread(read_source, source_url)
    await migrate(db_url)
    database = await open_database(db_url)
    report = Report()
    try:
        found = sorted(source.rows("sessions"), key=lambda row: time_of(row["last_activity"]) or "")
        began = datetime.now(UTC)
        for number, row in enumerate(found):
            session = _convert(source, row, agents)
            # In the old order, but used now: idle for longer than SESSION_MAX_AGE_HOURS they would be hidden at once.
            used_at = stamp(began + timedelta(microseconds=number))
            async with database.transaction() as tx:
                await _store(tx, source, row, session, owner, agents, used_at, report)
        _report_rows_of_no_session(source, report)
    finally:
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
    convert_approvals(session, approvals, _agent_of(source, source_id, agents))
    plans = source.by("plans", "session_id").get(source_id, [])
    convert_plans(session, plans, source.by("subtasks", "plan_id"), agents)
    return session


def _context_of(source: Source, source_id: str) -> Row:
    found = source.by("agent_contexts", "session_db_id").get(source_id, [])
    return max(found, key=lambda row: time_of(row["updated_at"]) or "", default={})


def _agent_of(source: Source, source_id: str, agents: Collection[str]) -> str:
    current = _context_of(source, source_id).get("current_agent")
    return str(current) if current in agents else FIRST_AGENT


async def _store(
    tx: Transaction,
    source: Source,
    row: Row,
    session: Converted,
    owner: str,
    agents: Collection[str],
    used_at: str,
    report: Report,
) -> None:
    if await runs.find(tx, session.run_id) is not None:
        report.counts["already imported"] += 1
        return
    context = _context_of(source, session.source_id)
    is_new = await tx.value(
        "import_session",
        session_id=session.id,
        owner=owner,
        title=row["title"],
        description=row["description"],
        created_at=time_of(row["created_at"]),
        last_activity=used_at,
        deleted_at=time_of(row["deleted_at"]),
        current_agent=_agent_of(source, session.source_id, agents),
        switch_count=context.get("switch_count") or 0,
    )
    if is_new is None:
        report.skipped.append(Skipped("sessions", session.source_id, f"there is another session {session.id}"))
        return
    # A run that has ended early makes the next turn take the thread from the history.
    await tx.run("import_run", run_id=session.run_id, session_id=session.id, now=used_at)
    await messages.append(tx, session.id, session.messages, run_id=session.run_id)
    await audit.append(tx, session.id, session.switches, run_id=session.run_id)
    await calls.insert(tx, session.calls)
    for plan in session.plans:
        written = json.dumps(plan["summary"], ensure_ascii=False)
        rest = {key: plan[key] for key in ("version", "status", "created_at", "updated_at")}
        await tx.run("import_plan", plan_id=plan["summary"]["plan_id"], session_id=session.id, summary=written, **rest)
    if session.id != session.source_id:
        report.mapped[session.source_id] = session.id
    current = context.get("current_agent")
    if current is not None and current not in agents:
        reason = f"the agent {current} does not exist here: the session starts with {FIRST_AGENT}"
        session.skip("agent_contexts", context, reason)
    undecided = [call["call_id"] for call in session.calls if call["state"] == "superseded"]
    for call_id in undecided:
        report.skipped.append(Skipped("pending_approvals", call_id, "imported as superseded: its run is gone"))
    report.skipped += session.skipped
    for kind, rows in (("messages", session.messages), ("switches", session.switches), ("plans", session.plans)):
        report.counts[kind] += len(rows)
    report.counts["approvals"] += len(session.calls)
    report.counts["sessions"] += 1


def _report_rows_of_no_session(source: Source, report: Report) -> None:
    known = {str(row["id"]) for row in source.rows("sessions")}
    for table, column in (("messages", "session_db_id"), ("pending_approvals", "session_id"), ("plans", "session_id")):
        for row in source.rows(table):
            if str(row[column]) not in known:
                report.skipped.append(Skipped(table, str(row["id"]), f"its session {row[column]} does not exist"))
