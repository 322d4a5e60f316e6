"""The tool_calls table: one record per call, single use, moved forward by conditional updates (policy section 5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from json_text import storable
from storage.clock import stamp
from storage.columns import read, stored, stored_value
from storage.database import Transaction

CallState = Literal[
    "pending", "approved", "edited", "rejected", "expired", "superseded", "cancelled", "executing", "done", "failed"
]
CallKind = Literal["approval", "ide_call", "local_call", "question", "switch", "plan_review"]
EndedBy = Literal["message", "cancel", "expiry"]
OPEN: frozenset[str] = frozenset({"pending", "approved", "edited", "executing"})
_ENDS: dict[EndedBy, tuple[CallState, CallState]] = {
    "message": ("superseded", "failed"),
    "cancel": ("cancelled", "cancelled"),
    "expiry": ("expired", "failed"),
}


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

    @property
    def is_open(self) -> bool:
        """Whether it still waits for a decision, a result or an answer."""
        return self.state in OPEN

    @property
    def is_overdue(self) -> bool:
        """Whether its time to be decided is over, although nobody has said so yet."""
        return self.state == "pending" and self.expires_at is not None and self.expires_at < stamp()

    def answer(self) -> dict[str, Any]:
        """How it was settled, in the form that resumes its interrupt (`agents.thread.tool_messages.Answer`)."""
        # A result that decided by itself (S6) reads like an approved call: its error says what went wrong.
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


async def find(tx: Transaction, session_id: str, call_id: str) -> CallRecord | None:
    """One call."""
    row = await tx.row("find_call", session_id=session_id, call_id=call_id)
    return read(CallRecord, row) if row else None


async def open_calls(tx: Transaction, session_id: str) -> list[CallRecord]:
    """The open calls of a session, oldest first."""
    return [read(CallRecord, row) for row in await tx.rows("open_calls", session_id=session_id)]


async def round_of(tx: Transaction, run_id: str) -> list[CallRecord]:
    """All calls of the newest pause of a run."""
    return [read(CallRecord, row) for row in await tx.rows("calls_of_round", run_id=run_id)]


async def used(tx: Transaction, session_id: str, call_ids: Iterable[str]) -> set[str]:
    """Which of these ids the session has used."""
    return {
        row.call_id for row in await tx.rows("used_call_ids", session_id=session_id, ids=json.dumps(list(call_ids)))
    }


async def insert(tx: Transaction, records: Sequence[dict[str, Any]]) -> set[str]:
    """Add records, given by the fields of CallRecord; the ids of those that were new."""
    rows = [stored(CallRecord, record) for record in records]
    return {row.call_id for row in await tx.rows("insert_calls", rows=json.dumps(rows))} if rows else set()


async def decide(
    tx: Transaction,
    call: CallRecord,
    state: CallState,
    decision: str,
    *,
    by: str,
    edited_arguments: dict[str, Any] | None = None,
    feedback: str | None = None,
    remembered: bool = False,
) -> bool:
    """Decide a pending call; False when somebody was first."""
    decided = await tx.value(
        "decide_call",
        session_id=call.session_id,
        call_id=call.call_id,
        state=state,
        decision=decision,
        decided_by=by,
        edited_arguments=stored_value(edited_arguments),
        feedback=storable(feedback),
        remembered=int(remembered),
        now=stamp(),
    )
    return decided is not None


async def record_result(tx: Transaction, call: CallRecord, result: Any, error: str | None) -> bool:
    """Accept the one result of an open call; False when somebody was first."""
    state = "failed" if error else "done"
    recorded = await tx.value(
        "record_result",
        session_id=call.session_id,
        call_id=call.call_id,
        state=state,
        result=stored_value(result),
        error=storable(error),
        now=stamp(),
    )
    return recorded is not None


async def record_implicit(tx: Transaction, call: CallRecord, result: Any, error: str | None) -> bool:
    """Accept a result for a pending call as its client's decision (S6); False when somebody was first."""
    recorded = await tx.value(
        "record_implicit",
        session_id=call.session_id,
        call_id=call.call_id,
        state="rejected" if error else "done",
        decision="implicit_reject" if error else "implicit_approve",
        result=stored_value(result),
        error=storable(error),
        now=stamp(),
    )
    return recorded is not None


async def end_all(tx: Transaction, session_id: str, ended_by: EndedBy) -> list[tuple[str, str, str]]:
    """Settle every open call of a session without a result: (call id, tool, kind) of each."""
    pending_state, other_state = _ENDS[ended_by]
    rows = await tx.rows(
        "end_open_calls",
        session_id=session_id,
        ended_by=ended_by,
        pending_state=pending_state,
        other_state=other_state,
        now=stamp(),
    )
    return [(row.call_id, row.tool_name, row.kind) for row in rows]


async def expire(tx: Transaction, session_id: str) -> list[tuple[str, str, str]]:
    """Expire the pending calls of a session whose time is over: (call id, tool, kind) of each."""
    rows = await tx.rows("expire_calls", session_id=session_id, now=stamp())
    return [(row.call_id, row.tool_name, row.kind) for row in rows]


async def sessions_with_expired(tx: Transaction) -> list[str]:
    """Sessions in which an approval's time is over."""
    return [row.session_id for row in await tx.rows("sessions_with_expired_calls", now=stamp())]
