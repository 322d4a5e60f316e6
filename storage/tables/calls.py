"""The tool_calls table: one record per call, settled once by conditional updates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from storage.database import Transaction, Writer, now, stamp
from storage.tables.columns import read, stored

CallState = Literal[
    "pending", "approved", "edited", "rejected", "expired", "superseded", "cancelled", "executing", "done", "failed"
]
CallKind = Literal["approval", "ide_call", "local_call", "question", "switch", "plan_review", "budget"]
QUESTIONS: frozenset[str] = frozenset({"question", "switch", "budget"})
"""What a message of the user answers."""
EndedBy = Literal["message", "cancel", "expiry"]
OPEN: frozenset[str] = frozenset({"pending", "approved", "edited", "executing"})


@dataclass(frozen=True)
class CallRecord:
    """One row."""

    session_id: str
    call_id: str
    run_id: str
    round: int
    interrupt_id: str | None
    kind: CallKind
    agent: str
    tool_name: str
    arguments: dict[str, Any]
    verdict: dict[str, Any]
    digest: str
    state: CallState
    created_at: str
    decision: str | None = None
    decided_at: str | None = None
    decided_by: str | None = None
    edited_arguments: dict[str, Any] | None = None
    feedback: str | None = None
    remembered: bool = False
    result: Any = None
    error: str | None = None
    ended_by: EndedBy | None = None
    undecided: bool = False
    expires_at: str | None = None
    settled_at: str | None = None
    plan_id: str | None = None
    """The plan that a plan review is about."""
    part_of: dict[str, str] | None = None
    """`call_id` and `tool_name` of the model's call, where this one carries out a part of it."""
    executor: str | None = None
    """The client that runs it, as its decision named it; None where none was named."""

    @property
    def is_tool_call(self) -> bool:
        """Whether the model made it; the question about a budget is the runtime's own."""
        return self.kind != "budget"

    @property
    def is_open(self) -> bool:
        """Whether the call still waits for a decision, a result or an answer."""
        return self.state in OPEN

    @property
    def age_s(self) -> float:
        """Seconds since the call was made."""
        return (now() - datetime.fromisoformat(self.created_at)).total_seconds()

    def is_overdue(self, now: str) -> bool:
        """Whether it is still pending after its deadline."""
        return self.state == "pending" and self.expires_at is not None and self.expires_at < now

    def answer(self) -> dict[str, Any]:
        """The outcome in the form that resumes its interrupt (`agents.thread.tool_messages.Answer`)."""
        # A result that was also the decision (S6) counts as approved: its error says what went wrong.
        is_implicit = self.decision in ("implicit_approve", "implicit_reject")
        return {
            "decision": "approve" if is_implicit else self.decision,
            "arguments": self.edited_arguments,
            "result": self.result,
            "error": self.error,
            "feedback": self.feedback,
            "ended_by": self.ended_by,
            "undecided": self.undecided,
        }


@dataclass(frozen=True)
class DoneCall:
    """A call that the client has executed, with the arguments that it received."""

    call_id: str
    tool_name: str
    arguments: dict[str, Any]


async def find(tx: Transaction, session_id: str, call_id: str) -> CallRecord | None:
    """Return one call of a session."""
    row = await tx.row("find_call", session_id=session_id, call_id=call_id)
    return read(CallRecord, row) if row else None


async def open_calls(tx: Transaction, session_id: str) -> list[CallRecord]:
    """Return the open calls of a session, oldest first."""
    return [read(CallRecord, row) for row in await tx.rows("open_calls", session_id=session_id)]


async def waiting(tx: Transaction, owner: str, limit: int) -> list[tuple[str | None, CallRecord]]:
    """The calls, plans and questions that wait for a person in all sessions of an owner, with the session's title."""
    return [(row.title, read(CallRecord, row)) for row in await tx.rows("waiting_calls", owner=owner, limit=limit)]


async def figure_of(tx: Transaction, owner: str) -> tuple[int, int]:
    """Return two numbers that change whenever something of the owner's sessions does."""
    row = await tx.row("owner_figure", owner=owner)
    return (int(row.events), int(row.sessions)) if row else (0, 0)


async def round_of(tx: Transaction, session_id: str, run_id: str) -> list[CallRecord]:
    """Return all calls of the newest pause of a run."""
    return [read(CallRecord, row) for row in await tx.rows("calls_of_round", session_id=session_id, run_id=run_id)]


async def done_calls(tx: Transaction, session_id: str) -> list[DoneCall]:
    """Return the calls that the client has executed, newest first."""
    rows = await tx.rows("done_calls", session_id=session_id)
    return [DoneCall(row.call_id, row.tool_name, json.loads(row.edited_arguments or row.arguments)) for row in rows]


async def used(tx: Transaction, session_id: str, call_ids: Iterable[str]) -> set[str]:
    """Return those of the ids that the session has used."""
    return {
        row.call_id for row in await tx.rows("used_call_ids", session_id=session_id, ids=json.dumps(list(call_ids)))
    }


async def insert(tx: Writer, records: Sequence[Mapping[str, Any]]) -> None:
    """Add records, given by the fields of CallRecord; one that is there already stays as it is."""
    await tx.run("insert_calls", rows=json.dumps([stored(CallRecord, record) for record in records]))


async def move(tx: Writer, session_id: str, records: Sequence[CallRecord]) -> None:
    """Update open calls to these records; the session is held, so that nobody else settles them."""
    rows = [stored(CallRecord, vars(record)) for record in records]
    await tx.run("move_calls", session_id=session_id, rows=json.dumps(rows))


async def sessions_with_expired(tx: Transaction) -> list[str]:
    """Return the sessions with an approval after its deadline."""
    return [row.session_id for row in await tx.rows("sessions_with_expired_calls", now=stamp())]
