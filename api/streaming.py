"""The event log as server-sent events (docs/protocol.md, Transport)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

from sse_starlette import EventSourceResponse, ServerSentEvent

from errors import SessionRefusal
from json_text import to_json
from runs.decision.effects import NO_USAGE
from runs.engine import Engine
from runs.requests import Taken, has_ended
from storage.tables.events import Event
from wire.chunks import done_chunk, frame, is_done
from wire.protocol import Chunk, error_chunk

KEEP_ALIVE_S = 15
NOT_STORED = "The server could not store this answer. Please send the message again."
_KEEP_ALIVE = ServerSentEvent(comment="keep-alive", sep="\n").encode()
LAST_WORDS_S = 1.0
"""For the end of a body when the process stops: less than `api.connection.CLOSING_S`, after which it is cut."""
PIECE_BYTES = 16_384
"""Of a large event so much is sent at a time: what a reader that stops reading keeps in memory."""
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def stream(frames: AsyncGenerator[bytes, None]) -> EventSourceResponse:
    """Send frames; a comment line keeps a silent stream open."""
    return EventSourceResponse(_pieces(frames), headers=_HEADERS, ping=0, shutdown_grace_period=LAST_WORDS_S)


async def _pieces(frames: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    upcoming = asyncio.ensure_future(anext(frames))
    try:
        while True:
            await asyncio.wait({upcoming}, timeout=KEEP_ALIVE_S)
            if not upcoming.done():
                yield _KEEP_ALIVE
                continue
            try:
                frame = upcoming.result()
            except StopAsyncIteration:
                return
            for start in range(0, len(frame), PIECE_BYTES):
                yield frame[start : start + PIECE_BYTES]
            del frame  # nothing is held while the reader waits
            upcoming = asyncio.ensure_future(anext(frames))
    finally:
        upcoming.cancel()
        with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
            await upcoming
        await frames.aclose()


async def answer(engine: Engine, taken: Taken) -> AsyncGenerator[bytes, None]:
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
                yield _unnumbered(chunk)


async def refused(refusal: SessionRefusal) -> AsyncGenerator[bytes, None]:
    """A refusal as version 1 reads it: gateways of the original lose the sentence of an HTTP error.

    The chunk is not part of the session's log and carries no number.
    """
    state = {"state": refusal.details["state"]} if "state" in refusal.details else {}
    chunk = error_chunk(refusal.code, refusal.message, retryable=refusal.retryable, **state)
    yield _unnumbered(chunk)


def _unnumbered(chunk: Chunk) -> bytes:
    return ServerSentEvent(to_json(chunk.model_dump()), sep="\n").encode()


async def log(
    engine: Engine, owner: str, session_id: str, after: int, version: int, *, live: bool
) -> AsyncGenerator[bytes, None]:
    """The whole log after a number, then what comes."""
    with engine.load.stream(owner), engine.meters.stream():
        async for event in engine.broadcast.follow(session_id, after, live=live):
            shown = framed(event, version)
            if shown is not None:
                yield shown


def framed(event: Event, version: int) -> bytes | None:
    """One event for readers of that protocol version, made once; None where they see nothing."""
    if version not in event.frames:
        data = frame(event.packed, version)
        sent = None if data is None else ServerSentEvent(data, id=str(event.seq), sep="\n").encode()
        event.frames[version] = sent
    return event.frames[version]
