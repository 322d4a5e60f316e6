"""`POST /agent/message/stream`: one message in, the chunks of its answer out (docs/protocol.md, Messages)."""

from __future__ import annotations

import uuid

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from sse_starlette import EventSourceResponse

from api.auth import via_of
from api.dependencies import JsonRoute, OpenEngine, Owner, check_session_id, read_message, refusals
from api.streaming import FrameStream, answer, refused
from errors import BadRequest, SessionRefusal
from json_text import storable
from runs.decision.contract import Request
from runs.requests import take
from wire.protocol import MessageRequest, UserMessage
from wire.text import quoted

router = APIRouter(route_class=JsonRoute)


@router.post("/agent/message/stream", responses=refusals(400, 404, 409, 413, 415, 503))
async def post_message(
    body: MessageRequest, http: HttpRequest, engine: OpenEngine, owner: Owner
) -> EventSourceResponse:
    """Send one message and read the chunks of its answer until the body ends."""
    version = read_version(body)
    session_id = check_session_id(body.session_id) if body.session_id is not None else None
    message = read_message(body.message)
    if session_id is None and not isinstance(message, UserMessage):
        raise BadRequest(f"session_id is required for {body.message['type']} message")
    known_id = session_id if session_id is not None else str(uuid.uuid4())
    try:
        taken = await take(engine, Request(known_id, message, owner, version, via=via_of(http, "ide")))
    except SessionRefusal as refusal:
        if version > 1:
            raise
        return FrameStream(refused(refusal))
    return FrameStream(answer(engine, taken))


def read_version(body: MessageRequest) -> int:
    """The protocol version; the outer one wins, gateways forward only the inner one (docs/protocol.md, Versions)."""
    version = body.protocol_version
    if version is None:
        version = body.message.get("protocol_version")
    if version is None:
        return 1
    if isinstance(version, bool) or version not in (1, 2):
        raise BadRequest(f"Unsupported protocol_version: {quoted(storable(version))}; use 1 or 2")
    return int(version)
