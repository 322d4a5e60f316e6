"""The limits of a request: the size and kind of its body, which is parsed once, and how many come in a minute.

docs/protocol.md, Transport.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.body import BodyParser
from api.responses import JSONReply
from json_text import Unreadable, read_json
from telemetry.meters import WITHOUT_USER, limit_of
from wire.rest.problems import TooManyRequests
from wire.text import SESSION_ID

DRAINED_BODIES = 8
"""So many times the limit is read of a body that is too large, so that its client sees the answer."""
PARSED_HERE_BYTES = 131_072
"""A larger body would hold up the other requests while it is parsed; a process of its own does it."""
WINDOW_S = 60.0
MAX_KEYS = 50_000
FILES = ("/console/static/", "/docs/static/")
"""Files of our pages: not counted, a page has many."""
_SESSION_PATH = re.compile(r"/(?:sessions|agents|events/metrics/session)/([^/]+)(?:/|$)")


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
            scope.setdefault("state", {})["json"] = await self._value_of(body) if body else None
        except Unreadable as error:
            told = {"type": "json_invalid", "loc": ["body"], "msg": str(error), "input": None}
            await JSONReply({"detail": [told]}, 422)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _value_of(self, body: bytes) -> Any:
        return read_json(body) if len(body) <= PARSED_HERE_BYTES else await self._parser.parse(body)

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


@dataclass(frozen=True)
class Window:
    """A sliding minute that a request counts in."""

    key: str
    limit: int


class RateLimit:
    """Sliding minutes per session, per end user and per address, kept by this process; 0 switches them off."""

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
        windows = [(window, self._times(window.key, now)) for window in windows_of(scope, self._per_minute)]
        full = next(((window, seen) for window, seen in windows if len(seen) >= window.limit), None)
        if full is not None:
            window, seen = full
            wait_s = min(60, max(1, math.ceil(seen[0] + WINDOW_S - now)))
            told = TooManyRequests(limit=window.limit, retry_after=wait_s)
            headers = {**self._headers(window, seen), "Retry-After": str(wait_s)}
            if "app" in scope:
                scope["app"].state.engine.meters.refused("requests")
            await JSONReply(told.model_dump(), 429, headers=headers)(scope, receive, send)
            return
        for _, seen in windows:
            seen.append(now)
        added = [(name.encode(), value.encode()) for name, value in self._headers(*windows[0]).items()]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _times(self, key: str, now: float) -> deque[float]:
        """The times of a window's requests; it becomes the newest, and the oldest gives way in a full table."""
        seen = self._seen.pop(key, None) or deque()
        while seen and seen[0] <= now - WINDOW_S:
            seen.popleft()
        while len(self._seen) >= MAX_KEYS:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = seen
        return seen

    def _headers(self, window: Window, seen: deque[float]) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(window.limit),
            "x-ratelimit-remaining": str(window.limit - len(seen)),
            "x-ratelimit-reset": str(math.ceil(seen[0] + WINDOW_S)) if seen else str(math.ceil(self._clock())),
        }


def windows_of(scope: Scope, per_minute: int) -> list[Window]:
    """Return the windows that a request counts in, the one that its headers tell of first.

    A gateway is one address: without an end user its requests that name no session count against ten times the limit.
    An end user's requests of all sessions together count against ten times the limit too.
    """
    owner = scope.get("state", {}).get("owner")
    session_id = session_of(scope)
    has_user = owner is not None and "/" in owner
    total = [Window(f"total {owner}", per_minute * WITHOUT_USER)] if has_user else []
    if session_id is not None:
        return [Window(f"session {owner} {session_id}", per_minute), *total]
    if has_user:
        return [Window(f"user {owner}", per_minute), *total]
    client = scope.get("client")
    address = f"address {client[0] if client else 'unknown'}"
    return [
        Window(f"{address} {owner}", limit_of(owner, per_minute)) if owner is not None else Window(address, per_minute)
    ]


def session_of(scope: Scope) -> str | None:
    """The session that a request names in its path or, once it is read, in its body."""
    found = _SESSION_PATH.match(scope["path"])
    body = scope.get("state", {}).get("json")
    named = found[1] if found else body.get("session_id") if isinstance(body, dict) else None
    return named if isinstance(named, str) and SESSION_ID.fullmatch(named) else None
