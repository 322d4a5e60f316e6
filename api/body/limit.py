"""The limit of a request's body, and its one reading (docs/protocol.md, Transport)."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.body.parser import BodyParser
from api.body.reading import Unreadable
from api.responses import JSONReply

DRAINED_BODIES = 8
"""So many times the limit is read of a body that is too large, so that its client sees the answer."""


class BodyLimit:
    """Reads the body once: 413 beyond the limit, 415 for another type than JSON, 422 for what is no JSON."""

    def __init__(self, app: ASGIApp, max_bytes: int, parser: BodyParser) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._parser = parser

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with the parsed body in `scope["state"]["json"]`."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        body = await self._read(receive)
        if body is None:
            problem = {"detail": f"The body is larger than {self._max_bytes} bytes", "code": "bad_request"}
            await JSONReply(problem, 413)(scope, receive, send)
            return
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if body and (kind != b"application/json" or b"content-encoding" in headers):
            problem = {"detail": "Send the body as application/json without Content-Encoding", "code": "bad_request"}
            await JSONReply(problem, 415)(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["json"] = await self._parser.parse(body) if body else None
        except Unreadable as error:
            told = {"type": "json_invalid", "loc": ["body"], "msg": str(error), "input": None}
            await JSONReply({"detail": [told]}, 422)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            part: bytes = message.get("body", b"")
            size += len(part)
            if size <= self._max_bytes:
                parts.append(part)
            elif size > DRAINED_BODIES * self._max_bytes:
                return None
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                # Read to its end even when too large: a client that is still sending would not see the answer.
                return b"".join(parts) if size <= self._max_bytes else None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return the body again, then the following messages (a disconnect)."""
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again
