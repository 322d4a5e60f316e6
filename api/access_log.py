"""Around each request: its id, its log line, and the answer to an unexpected exception."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

import logs
from api.limits import session_of
from api.responses import internal_error
from telemetry import tracing

NOT_ANSWERED = 499
"""The status of a request whose client left before an answer began."""
PROBES = frozenset({"/health", "/ready"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_log = logging.getLogger("api.access")


class AccessLog:
    """Binds a request id, taken from `X-Request-ID` or made, returns it as a header, and logs the end of the body.

    An unexpected exception is answered with 500; unlike after Starlette's own answer the connection stays usable.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex[:16]
        status = NOT_ANSWERED

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        started = time.monotonic()
        parent = headers.get(b"traceparent", b"").decode("latin-1") or None
        with (
            logs.bound(request=request_id),
            tracing.span(
                scope["method"], {"http.request.method": scope["method"]}, kind="server", traceparent=parent
            ) as span,
        ):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                if status != NOT_ANSWERED:  # an answer that has begun can only be cut
                    raise
                await internal_error(scope["path"], error)(scope, receive, send_with_id)
            finally:
                route = getattr(scope.get("route"), "path", None)
                span.name(f"{scope['method']} {route}" if route else scope["method"])
                span.note({"http.route": route, "http.response.status_code": status, "codelab.request_id": request_id})
                fields = {
                    "action": "request",
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.monotonic() - started) * 1000),
                    "session": session_of(scope),
                }
                level = logging.DEBUG if scope["path"] in PROBES else logging.INFO
                _log.log(level, "request", extra=fields)
