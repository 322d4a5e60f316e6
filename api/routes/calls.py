"""What came of one tool call (docs/protocol.md, Endpoints)."""

from __future__ import annotations

from fastapi import APIRouter

from api.dependencies import CallId, OpenEngine, Owner, SessionId, refusals
from errors import CallUnknown
from storage.tables import calls, sessions
from wire.rest.sessions import CallOutcome

router = APIRouter()


@router.get("/sessions/{session_id}/calls/{call_id:path}/result", responses=refusals(404, 503))
async def get_result(session_id: SessionId, call_id: CallId, engine: OpenEngine, owner: Owner) -> CallOutcome:
    """Show the whole result of a call, as the client sent it; null while there is none."""
    async with engine.database.autocommit() as tx:
        await sessions.find(tx, session_id, owner)
        record = await calls.find(tx, session_id, call_id)
    if record is None:
        raise CallUnknown(f"Call {call_id} not found in this session")
    return CallOutcome(
        call_id=record.call_id,
        tool_name=record.tool_name,
        state=record.state,
        result=record.result,
        error=record.error,
    )
