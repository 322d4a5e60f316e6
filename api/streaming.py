"""The event log as server-sent events (docs/protocol.md, Transport)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from sse_starlette import EventSourceResponse, ServerSentEvent

from errors import SessionRefusal
from json_text import to_json
from runs.decision.effects import NO_USAGE
from runs.engine import Engine
from runs.requests import Taken, has_ended
from storage.tables.events import Event
from wire.chunks import done_chunk
from wire.frames import frame, is_done
from wire.protocol import error_chunk

KEEP_ALIVE_S = 15
NOT_STORED = "The server could not store this answer. Please send the message again."
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def stream(frames: AsyncIterator[dict[str, str]]) -> EventSourceResponse:
    """Frame chunks; a comment line keeps a silent stream open."""
    return EventSourceResponse(
        frames,
        headers=_HEADERS,
        ping=KEEP_ALIVE_S,
        ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep="\n"),
        sep="\n",
    )


async def answer(engine: Engine, taken: Taken) -> AsyncIterator[dict[str, str]]:
    """The chunks of one request, up to its end of turn; where the run could store none, one without a number."""
    request = taken.request
    is_over = partial(has_ended, engine, taken)
    with engine.meters.stream():
        async for event in engine.broadcast.follow(request.session_id, taken.after, is_over=is_over):
            if event.request_id != request.request_id:
                continue
            shown = framed(event, request.version)
            if shown is not None:
                yield shown
            if is_done(event.packed):
                return
        if not engine.is_halted and await is_over():
            for chunk in (error_chunk("internal", NOT_STORED, retryable=True), done_chunk("failed", NO_USAGE)):
                yield {"data": to_json(chunk.model_dump())}


async def refused(refusal: SessionRefusal) -> AsyncIterator[dict[str, str]]:
    """A refusal as version 1 reads it: gateways of the original lose the sentence of an HTTP error.

    The chunk is not part of the session's log and carries no number.
    """
    state = {"state": refusal.details["state"]} if "state" in refusal.details else {}
    chunk = error_chunk(refusal.code, refusal.message, retryable=refusal.retryable, **state)
    yield {"data": to_json(chunk.model_dump())}


async def log(
    engine: Engine, session_id: str, after: int, version: int, *, live: bool
) -> AsyncIterator[dict[str, str]]:
    """The whole log after a number, then what comes."""
    with engine.meters.stream():
        async for event in engine.broadcast.follow(session_id, after, live=live):
            shown = framed(event, version)
            if shown is not None:
                yield shown


def framed(event: Event, version: int) -> dict[str, str] | None:
    """One event for a reader of that protocol version; None where that reader sees nothing."""
    data = frame(event.packed, version)
    return None if data is None else {"id": str(event.seq), "data": data}
