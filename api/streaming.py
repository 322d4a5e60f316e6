"""The event log as server-sent events (docs/protocol.md, Transport)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Message, Receive, Scope, Send

from errors import SessionRefusal
from json_text import to_json
from runs.decision.contract import NO_USAGE
from runs.engine import Engine
from runs.requests import Taken, has_ended
from storage.tables.events import Event
from wire.chunks import done_chunk, frame, is_done
from wire.protocol import Chunk, error_chunk

KEEP_ALIVE_S = 15
NOT_STORED = "The server could not store this answer. Please send the message again."
_KEEP_ALIVE = ServerSentEvent(comment="keep-alive", sep="\n").encode()
PIECE_BYTES = 16_384
"""Of a large event so much is sent at a time: what a reader that stops reading keeps in memory."""
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class FrameStream(EventSourceResponse):
    """Sends ready frames in the task of the request; a second one notices a client that leaves, and breaks a silence.

    A comment line keeps a silent stream open.

    Against `EventSourceResponse` as it is: no tasks for pings, for the end of the process and for each frame. A stream
    ends with its frames, which end when the process stops.
    """

    def __init__(self, frames: AsyncGenerator[bytes, None]) -> None:
        super().__init__(frames, headers=_HEADERS)
        self._frames = frames
        self._whole = asyncio.Lock()
        """Held while a frame is being sent: no comment stands inside one."""
        self._silent_since = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 the signature is ASGI's
        """Send the frames until they end or the client leaves."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._silent_since = asyncio.get_running_loop().time()
        async with aclosing(self._frames):
            try:
                async with asyncio.timeout(None) as connection:
                    watching = asyncio.create_task(self._watch(receive, send, connection))
                    try:
                        await self._send_frames(send)
                    finally:
                        watching.cancel()
            except TimeoutError:
                if not connection.expired():
                    raise
                return
        await send(_part(b"", is_last=True))

    async def _send_frames(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        async for ready in self._frames:
            async with self._whole:
                for start in range(0, len(ready), PIECE_BYTES):
                    await send(_part(ready[start : start + PIECE_BYTES]))
            self._silent_since = loop.time()
            del ready  # nothing is held while the next one is waited for

    async def _watch(self, receive: Receive, send: Send, connection: asyncio.Timeout) -> None:
        """End the stream when the client has left; send a comment after each KEEP_ALIVE_S of silence."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(self._silent_since + KEEP_ALIVE_S):
                    message = await receive()
            except TimeoutError:
                if loop.time() >= self._silent_since + KEEP_ALIVE_S:
                    await self._break_silence(send)
                continue
            if message["type"] == "http.disconnect":
                connection.reschedule(loop.time())
                return

    async def _break_silence(self, send: Send) -> None:
        if not self._whole.locked():
            async with self._whole:
                await send(_part(_KEEP_ALIVE))
        self._silent_since = asyncio.get_running_loop().time()


def _part(body: bytes, *, is_last: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not is_last}


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
