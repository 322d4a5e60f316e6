"""Limits of requests: size and rate (docs/protocol.md, Transport)."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.body.json_body import Unreadable, read_json
from api.responses import JSONReply
from wire.text import SESSION_ID

WINDOW_S = 60.0
MAX_KEYS = 50_000
FILES = ("/console/static/", "/docs/static/")
"""Files of our pages: not counted, a page has many."""
DRAINED_BODIES = 8
_SESSION_PATH = re.compile(r"/(?:sessions|agents|events/metrics/session)/([^/]+)(?:/|$)")


class BodyLimit:
    """Reads the body once: 413 beyond the limit, 415 for another type than JSON, 422 for what is no JSON."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

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
            scope.setdefault("state", {})["json"] = read_json(body) if body else None
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


class RateLimit:
    """A sliding minute per session, else per client address; 0 switches it off."""

    def __init__(self, app: ASGIApp, per_minute: int, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._per_minute = per_minute
        self._clock = clock
        self._seen: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request, or answer 429 with the true wait."""
        is_uncounted = scope["type"] == "http" and (scope["path"] == "/health" or scope["path"].startswith(FILES))
        if scope["type"] != "http" or not self._per_minute or is_uncounted:
            await self._app(scope, receive, send)
            return
        now = self._clock()
        seen = self._window(_key(scope), now)
        if len(seen) >= self._per_minute:
            wait_s = min(60, max(1, math.ceil(seen[0] + WINDOW_S - now)))
            body = {
                "error": "Too many requests",
                "limit": self._per_minute,
                "window": "1 minute",
                "retry_after": wait_s,
            }
            headers = {**self._headers(seen), "Retry-After": str(wait_s)}
            await JSONReply(body, 429, headers=headers)(scope, receive, send)
            return
        seen.append(now)
        added = [(name.encode(), value.encode()) for name, value in self._headers(seen).items()]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _window(self, key: str, now: float) -> deque[float]:
        if key not in self._seen and len(self._seen) >= MAX_KEYS:
            self._seen = {k: times for k, times in self._seen.items() if times and times[-1] > now - WINDOW_S}
        seen = self._seen.setdefault(key, deque())
        while seen and seen[0] <= now - WINDOW_S:
            seen.popleft()
        return seen

    def _headers(self, seen: deque[float]) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self._per_minute),
            "x-ratelimit-remaining": str(self._per_minute - len(seen)),
            "x-ratelimit-reset": str(math.ceil(seen[0] + WINDOW_S)) if seen else str(math.ceil(self._clock())),
        }


def _key(scope: Scope) -> str:
    owner = scope.get("state", {}).get("owner", "")
    session_id = session_of(scope)
    if session_id is not None:
        return f"session {owner} {session_id}"
    client = scope.get("client")
    return f"address {client[0] if client else 'unknown'}"


def session_of(scope: Scope) -> str | None:
    """The session that a request names in its path or, once it is read, in its body."""
    found = _SESSION_PATH.match(scope["path"])
    body = scope.get("state", {}).get("json")
    named = found[1] if found else body.get("session_id") if isinstance(body, dict) else None
    return named if isinstance(named, str) and SESSION_ID.fullmatch(named) else None
