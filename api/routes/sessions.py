"""Sessions and their history (docs/protocol.md, Endpoints)."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import replace
from datetime import datetime

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse

from api.dependencies import JsonRoute, OpenEngine, Owner, SessionId, check_page, check_session_id, refusals
from api.routes.conversation import stored_message
from api.streaming import FrameStream, log
from errors import BadRequest, NotReady, SessionBusy, SessionExists, SessionUnknown
from runs import cancel as cancelling
from storage.tables import messages, sessions
from storage.tables.messages import MessageRecord
from storage.tables.sessions import Session
from wire.rest.sessions import (
    CancelResult,
    SessionCreate,
    SessionCreated,
    SessionDeleted,
    SessionEnvelope,
    SessionList,
    SessionPatch,
)

router = APIRouter(route_class=JsonRoute)


@router.post("/sessions", status_code=201, responses=refusals(400, 409, 413, 415, 503))
async def create_session(engine: OpenEngine, owner: Owner, body: SessionCreate | None = None) -> SessionCreated:
    """Create a session, with an id of the client's if it wants."""
    wanted = body.session_id if body else None
    session_id = check_session_id(wanted) if wanted is not None else str(uuid.uuid4())
    async with engine.database.transaction() as tx:
        if not await sessions.create(tx, session_id, owner):
            raise SessionExists(f"Session '{session_id}' already exists")
        session = await sessions.find(tx, session_id, owner)
    return SessionCreated(id=session.id, created_at=session.created_at, current_agent=session.current_agent)


@router.get("/sessions", responses=refusals(400, 503))
async def list_sessions(
    engine: OpenEngine,
    owner: Owner,
    limit: int = 100,
    offset: int = 0,
    active_only: bool = True,  # noqa: ARG001 every session that is not deleted is active
    deleted: bool = False,
) -> SessionList:
    """List the owner's sessions, newest activity first, or with `deleted` those that were deleted and can come back."""
    limit, kept_offset = check_page(limit, offset)
    async with engine.database.autocommit() as tx:
        rows, total = await sessions.listing(tx, owner, limit, kept_offset, deleted=deleted)
    return SessionList.model_validate({"sessions": rows, "total": total, "limit": limit, "offset": offset})


@router.get("/sessions/{session_id}", responses=refusals(404, 503))
async def get_session(
    session_id: SessionId, engine: OpenEngine, owner: Owner, include_messages: bool = False
) -> SessionEnvelope:
    """Show one session, with its messages if wanted."""
    async with engine.database.autocommit() as tx:
        session = await sessions.find(tx, session_id, owner)
        history = await messages.history(tx, session_id) if include_messages else None
    return _envelope(session, history)


@router.patch("/sessions/{session_id}", responses=refusals(404, 413, 415, 503))
async def patch_session(session_id: SessionId, body: SessionPatch, engine: OpenEngine, owner: Owner) -> SessionEnvelope:
    """Change title and description; null clears, what is absent stays."""
    async with engine.database.transaction() as tx:
        session = await sessions.find(tx, session_id, owner, lock=True)
        title = body.title if "title" in body.model_fields_set else session.title
        described = body.description if "description" in body.model_fields_set else session.description
        await sessions.describe(tx, session_id, title, described)
    session = replace(session, title=title, description=described)
    return _envelope(session, None)


@router.delete("/sessions/{session_id}", responses=refusals(404, 503))
async def delete_session(session_id: SessionId, engine: OpenEngine, owner: Owner, hard: bool = False) -> SessionDeleted:
    """Hide a session, or with `hard` remove every row and checkpoint of it; what it is doing is cancelled first."""
    async with engine.database.autocommit() as tx:
        session = await sessions.find_any(tx, session_id)
    is_known = session is not None and session.owner == owner and (hard or session.deleted_at is None)
    if not is_known:
        raise SessionUnknown.named(session_id)
    if session is not None and session.deleted_at is None:
        # A run that cannot be stopped does not keep a hard delete: without its rows it can write nothing more.
        with contextlib.suppress(*((SessionBusy, NotReady) if hard else ())):
            await cancelling.cancel(engine, session_id, owner)
    async with engine.database.transaction(long=hard) as tx:
        if hard:
            await sessions.hard_delete(tx, session_id)
        else:
            await sessions.soft_delete(tx, session_id)
    engine.broadcast.invalidate(session_id)
    return SessionDeleted(id=session_id, hard=hard)


@router.post("/sessions/{session_id}/restore", responses=refusals(404, 503))
async def restore_session(session_id: SessionId, engine: OpenEngine, owner: Owner) -> SessionEnvelope:
    """Bring a deleted session back; one that is not deleted stays as it is."""
    async with engine.database.transaction() as tx:
        session = await sessions.find_any(tx, session_id, lock=True)
        if session is None or session.owner != owner:
            raise SessionUnknown.named(session_id)
        await sessions.restore(tx, session_id)
    engine.broadcast.invalidate(session_id)
    return _envelope(session, None)


@router.post("/sessions/{session_id}/cancel", responses=refusals(404, 503))
async def cancel_session(session_id: SessionId, engine: OpenEngine, owner: Owner) -> CancelResult:
    """Stop what the session is doing or waiting for; the text so far is kept."""
    result = await cancelling.cancel(engine, session_id, owner)
    return CancelResult(
        session_id=session_id,
        cancelled=result.run_id is not None,
        run_id=result.run_id,
        settled_calls=result.settled_calls,
    )


@router.get("/sessions/{session_id}/stream", responses=refusals(400, 404, 503))
async def follow_session(
    session_id: SessionId,
    request: Request,
    engine: OpenEngine,
    owner: Owner,
    after: str = "0",
    follow: bool = True,
    protocol_version: int = 2,
) -> EventSourceResponse:
    """Replay the log after a number, then follow live across turns; the header Last-Event-ID wins over `after`."""
    wanted = request.headers.get("last-event-id", "").strip() or after.strip()
    if not wanted.isascii() or not wanted.isdigit() or len(wanted) > 18:
        raise BadRequest("after and Last-Event-ID must be a sequence number >= 0")
    if protocol_version not in (1, 2):
        raise BadRequest(f"Unsupported protocol_version: {protocol_version}; use 1 or 2")
    async with engine.database.autocommit() as tx:
        await sessions.find(tx, session_id, owner)
    engine.load.check_streams(owner)
    return FrameStream(log(engine, owner, session_id, int(wanted), protocol_version, live=follow))


def _envelope(session: Session, history: list[MessageRecord] | None) -> SessionEnvelope:
    lasted = datetime.fromisoformat(session.last_activity) - datetime.fromisoformat(session.created_at)
    stored = None if history is None else [stored_message(record) for record in history]
    view = {
        "id": session.id,
        "title": session.title,
        "description": session.description,
        "message_count": session.message_count,
        "messages": stored,
        "last_activity": session.last_activity,
        "is_active": True,
        "created_at": session.created_at,
        "duration_seconds": max(0.0, lasted.total_seconds()),
    }
    return SessionEnvelope.model_validate({"session": view})
