"""The conversation of a session: its history, its messages with their places in the log, and copies of it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.dependencies import JsonRoute, OpenEngine, Owner, SessionId, check_page, refusals
from errors import BadRequest
from runs.fork import fork
from runs.thread import openai_calls
from storage.tables import audit, messages, sessions
from storage.tables.messages import MessageRecord
from wire.rest.conversation import Forked, ForkRequest, MessagePage
from wire.rest.sessions import History
from wire.text import quoted

router = APIRouter(route_class=JsonRoute)


@router.get(
    "/sessions/{session_id}/history",
    responses=refusals(404, 503),
    response_model=History,
    response_model_exclude_unset=True,
)
async def get_history(session_id: SessionId, engine: OpenEngine, owner: Owner) -> dict[str, Any]:
    """Show the whole conversation and who took part in it."""
    async with engine.database.autocommit() as tx:
        session = await sessions.find(tx, session_id, owner)
        history = await messages.history(tx, session_id)
        switches = await audit.switches(tx, session_id)
    return {
        "session_id": session_id,
        "messages": [_spoken(record) for record in history],
        "message_count": len(history),
        "last_activity": session.last_activity,
        "current_agent": session.current_agent,
        "agent_history": [
            {"from": s["from_agent"], "to": s["to_agent"], "reason": s["reason"], "timestamp": s["switched_at"]}
            for s in switches
        ],
    }


@router.get("/sessions/{session_id}/messages", responses=refusals(400, 404, 503))
async def get_messages(
    session_id: SessionId, engine: OpenEngine, owner: Owner, limit: int = 100, offset: int = 0
) -> MessagePage:
    """Show a part of the history, oldest first, each message with its place in the event log."""
    limit, offset = check_page(limit, offset)
    async with engine.database.autocommit() as tx:
        await sessions.find(tx, session_id, owner)
        page = await messages.page(tx, session_id, limit, offset)
        total = await messages.count(tx, session_id)
    rows = [
        {"position": m.position, "after_seq": m.after_seq, "run_id": m.message.run_id, **stored_message(m.message)}
        for m in page
    ]
    return MessagePage.model_validate(
        {"session_id": session_id, "messages": rows, "total": total, "limit": limit, "offset": offset}
    )


@router.post("/sessions/{session_id}/fork", status_code=201, responses=refusals(400, 404, 413, 415, 503))
async def fork_session(
    session_id: SessionId, engine: OpenEngine, owner: Owner, body: ForkRequest | None = None
) -> Forked:
    """Begin a new session with a copy of the conversation, up to a message of the user if one is named."""
    before = body.before if body else None
    async with engine.database.transaction() as tx:
        source = await sessions.find(tx, session_id, owner)
        history = await messages.history(tx, session_id)
        kept = _kept(history, before)
        made = await fork(tx, source, kept)
    session = made.session
    return Forked(
        id=session.id,
        forked_from=session_id,
        message_count=made.message_count,
        current_agent=session.current_agent,
        title=session.title,
    )


def _kept(history: list[MessageRecord], before: str | None) -> list[MessageRecord]:
    if before is None:
        return history
    end = next((i for i, m in enumerate(history) if m.id == before and m.role == "user"), None)
    if end is None:
        raise BadRequest(f"No message of the user has the id {quoted(before)} in this session")
    return history[:end]


def stored_message(record: MessageRecord) -> dict[str, Any]:
    """A message as REST shows it."""
    return {
        "id": record.id,
        "role": record.role,
        "content": record.content,
        "name": record.name,
        "tool_call_id": record.tool_call_id,
        "tool_calls": openai_calls(record.tool_calls) if record.tool_calls else None,
        "created_at": record.created_at,
    }


def _spoken(record: MessageRecord) -> dict[str, Any]:
    said: dict[str, Any] = {"role": record.role, "content": record.content}
    if record.name:
        said["name"] = record.name
    if record.tool_call_id:
        said["tool_call_id"] = record.tool_call_id
    if record.tool_calls:
        said["tool_calls"] = openai_calls(record.tool_calls)
    return said
