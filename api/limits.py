"""The limits of requests per minute (docs/protocol.md, Transport)."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.responses import JSONReply
from telemetry.meters import WITHOUT_USER, limit_of
from wire.rest.problems import TooManyRequests
from wire.text import SESSION_ID

WINDOW_S = 60.0
MAX_KEYS = 50_000
FILES = ("/console/static/", "/docs/static/")
"""Files of our pages: not counted, a page has many."""
_SESSION_PATH = re.compile(r"/(?:sessions|agents|events/metrics/session)/([^/]+)(?:/|$)")


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
