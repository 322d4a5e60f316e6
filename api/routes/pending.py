"""What waits for a person, in one session or in all (docs/protocol.md, endpoints)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from fastapi import APIRouter
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.dependencies import CallId, OpenEngine, Owner, SessionId, check_page, refusals
from api.streaming import FrameStream
from errors import CallUnknown
from json_text import to_json
from runs.change import change_of
from runs.engine import Engine
from runs.log.broadcast import FALLBACK_POLL_S
from storage.database import Transaction, patiently
from storage.tables import calls, plans, sessions
from storage.tables.calls import QUESTIONS, CallRecord
from storage.tables.plans import PlanRecord
from tools.create_plan import CREATE_PLAN
from wire.chunks import plan_approval_id
from wire.rest.approvals import PendingApprovals
from wire.rest.pending import Change, Pending

router = APIRouter()
CHANGED = ServerSentEvent(to_json({"type": "changed"}), sep="\n").encode()
PAUSE_S = 0.3
"""The least time between two looks for changes."""
PLAN_REASON = "Complex plan requires user approval before execution"


@router.get("/pending", responses=refusals(400, 503))
async def all_pending(engine: OpenEngine, owner: Owner, limit: int = 100) -> Pending:
    """Show every approval, plan and question that waits for the caller, over all sessions, oldest first."""
    limit, _ = check_page(limit)
    async with engine.database.autocommit() as tx:
        found = await calls.waiting(tx, owner, limit + 1)
        rows = [await _waiting_row(tx, title, record) for title, record in found[:limit]]
    return Pending.model_validate({"pending": rows, "count": len(rows), "is_cut": len(found) > limit})


@router.get("/pending/stream", responses=refusals(503))
async def pending_stream(engine: OpenEngine, owner: Owner) -> EventSourceResponse:
    """Tell at once, and when something of the caller's sessions has changed; read `/pending` and `/sessions` then."""
    return FrameStream(_changes(engine, owner))


async def _changes(engine: Engine, owner: str) -> AsyncGenerator[bytes, None]:
    """One event at once, for what changed before, and one per change, at most one in PAUSE_S.

    While nothing happens in any session nothing is read.
    """
    before: tuple[int, int] | None = None
    while not engine.broadcast.is_closed:
        change = engine.broadcast.any_change()
        found = await patiently(partial(_figure, engine, owner))
        if found != before:
            yield CHANGED
        before = found
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FALLBACK_POLL_S):
                await change.wait()
        await asyncio.sleep(PAUSE_S)


async def _figure(engine: Engine, owner: str) -> tuple[int, int]:
    async with engine.database.autocommit() as tx:
        return await calls.figure_of(tx, owner)


@router.get("/sessions/{session_id}/pending-approvals", responses=refusals(404, 503))
async def pending_approvals(session_id: SessionId, engine: OpenEngine, owner: Owner) -> PendingApprovals:
    """Show everything that waits for a decision."""
    async with engine.database.autocommit() as tx:
        await sessions.find(tx, session_id, owner)
        waiting = [r for r in await calls.open_calls(tx, session_id) if r.state == "pending"]
        plan = await plans.active(tx, session_id) if any(r.kind == "plan_review" for r in waiting) else None
    rows = [_plan_row(r, plan) if plan is not None and r.plan_id == plan.plan_id else _tool_row(r) for r in waiting]
    return PendingApprovals.model_validate({"session_id": session_id, "pending_approvals": rows, "count": len(rows)})


@router.get("/sessions/{session_id}/calls/{call_id:path}/change", responses=refusals(404, 503))
async def get_change(session_id: SessionId, call_id: CallId, engine: OpenEngine, owner: Owner) -> Change | None:
    """Show what a call would write as a diff, and against which old text; null for a call that writes no file."""
    async with engine.database.autocommit() as tx:
        await sessions.find(tx, session_id, owner)
        record = await calls.find(tx, session_id, call_id)
        if record is None:
            raise CallUnknown(f"Call {call_id} not found in this session")
        found = await _change(tx, record)
    return None if found is None else Change.model_validate(found)


async def _waiting_row(tx: Transaction, title: str | None, record: CallRecord) -> dict[str, Any]:
    plan = await plans.find(tx, record.session_id, record.plan_id) if record.plan_id else None
    row = _plan_row(record, plan) if plan is not None else _tool_row(record)
    asked = None
    if record.kind in QUESTIONS:
        asked = _question(record)
        reason = "The agent asks" if record.is_tool_call else "A budget is used up"
        row |= {"request_type": "question", "subject": asked["question"], "reason": reason}
    change = await _change(tx, record) if record.kind == "approval" else None
    return {
        **row,
        "session_id": record.session_id,
        "session_title": title,
        "agent": record.agent,
        "question": asked,
        "change": change,
    }


async def _change(tx: Transaction, record: CallRecord) -> dict[str, Any] | None:
    arguments = record.edited_arguments or record.arguments
    change = await change_of(tx, record.session_id, record.call_id, record.tool_name, arguments)
    return None if change is None else {"call_id": record.call_id, **change._asdict()}


def _question(record: CallRecord) -> dict[str, Any]:
    told = record.arguments
    if record.kind == "switch":
        reason = told.get("reason") or "Agent requested switch"
        return {"question": f"Switch to {told.get('mode')} agent? {reason}", "suggestions": ["yes", "no"]}
    return {"question": str(told.get("question", "")), "suggestions": [str(s) for s in told.get("suggestions") or ()]}


def _tool_row(record: CallRecord) -> dict[str, Any]:
    verdict = record.verdict
    explained = {key: verdict.get(key) for key in ("danger", "reasons", "segments", "remember_options")}
    return {
        "request_id": record.call_id,
        "request_type": "tool",
        "subject": record.tool_name,
        "details": {"arguments": record.arguments, **explained},
        "reason": verdict.get("ask_reason", ""),
        "created_at": record.created_at,
        "call_id": record.call_id,
        "tool_name": record.tool_name,
        "arguments": record.arguments,
        "digest": record.digest,
        "expires_at": record.expires_at,
    }


def _plan_row(record: CallRecord, plan: PlanRecord) -> dict[str, Any]:
    summary, request_id = plan.shown(), plan_approval_id(plan.plan_id)
    return {
        "request_id": request_id,
        "request_type": "plan",
        "subject": summary["title"],
        "details": summary,
        "reason": PLAN_REASON,
        "created_at": record.created_at,
        "call_id": request_id,
        "tool_name": CREATE_PLAN.name,
        "arguments": {},
        "digest": record.digest,
        "expires_at": record.expires_at,
    }
