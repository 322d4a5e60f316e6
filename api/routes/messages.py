"""`POST /agent/message/stream`: one message in, the chunks of its answer out (protocol section 3)."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sse_starlette import EventSourceResponse

from api.auth import owner_of
from api.dependencies import OpenEngine, refusals
from api.streaming import answer, refused, stream
from errors import BadRequest, SessionRefusal
from json_text import storable
from runs import intake, replies
from runs.drive.claim import Ticket
from runs.engine import Engine
from wire.protocol import (
    MESSAGES,
    HitlDecision,
    Message,
    MessageRequest,
    PlanDecision,
    SwitchAgent,
    ToolResult,
    UserMessage,
    check_session_id,
    quoted,
)

router = APIRouter()


@router.post("/agent/message/stream", responses=refusals(400, 404, 409, 413, 415, 503))
async def post_message(body: MessageRequest, request: Request, engine: OpenEngine) -> EventSourceResponse:
    """Send one message and read the chunks of its answer until the body ends."""
    version = read_version(body)
    session_id = check_session_id(body.session_id) if body.session_id is not None else None
    message = read_message(body.message)
    if session_id is None and not isinstance(message, UserMessage):
        raise BadRequest(f"session_id is required for {body.message['type']} message")
    try:
        ticket = await _take(engine, session_id, owner_of(request), message, version)
    except SessionRefusal as refusal:
        if version > 1:
            raise
        return stream(refused(refusal))
    return stream(answer(engine, ticket, version))


def read_version(body: MessageRequest) -> int:
    """The protocol version; the outer one wins, the gateway forwards only the inner one (section 2)."""
    version = body.protocol_version
    if version is None:
        version = body.message.get("protocol_version")
    if version is None:
        return 1
    if isinstance(version, bool) or version not in (1, 2):
        raise BadRequest(f"Unsupported protocol_version: {quoted(storable(version))}; use 1 or 2")
    return int(version)


def read_message(raw: dict[str, Any]) -> Message:
    """Dispatch on `type`; raises the protocol's 400 texts, and 422 for wrong JSON types."""
    kind = storable(raw.get("type"))
    model = MESSAGES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise BadRequest(f"Unsupported message type: {quoted(kind)}")
    try:
        return model.model_validate(raw).checked()
    except ValidationError as error:
        told = [{**item, "loc": ("body", "message", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(told) from error


async def _take(engine: Engine, session_id: str | None, owner: str, message: Message, version: int) -> Ticket:
    if isinstance(message, UserMessage):
        return await intake.take_user_message(engine, session_id, owner, message, version)
    known = cast(str, session_id)
    match message:
        case ToolResult():
            return await replies.take_result(engine, known, owner, message, version)
        case HitlDecision():
            outcome = await replies.take_decision(engine, known, owner, message, version, refusal_as_chunk=True)
            return outcome.ticket
        case PlanDecision():
            return (await replies.take_plan_decision(engine, known, owner, message, version)).ticket
        case SwitchAgent():
            return await intake.take_switch(engine, known, owner, message, version)
        case _:
            raise BadRequest(f"Unsupported message type: {type(message).__name__}")
