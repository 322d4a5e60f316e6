"""Authentication by key or by the console's cookie, and the user in whose name a gateway sends (docs/protocol.md)."""

from __future__ import annotations

import hmac
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from fastapi import Depends
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.keys import Keys
from api.pages.cookies import PAGE, admit_by_cookie
from api.responses import JSONReply
from errors import BadRequest

EXEMPT = frozenset({"/health", "/ready", "/docs", "/openapi.json", "/redoc", "/favicon.ico", PAGE})
_OPEN_FOLDERS = ("/docs/static/", PAGE + "/")
SINGLE = {
    name.lower().encode(): name
    for name in ("X-Internal-Auth", "X-End-User", "Authorization", "X-API-Key", "Content-Type", "Content-Encoding")
}
"""Headers that a request may have once."""
Via = Literal["console", "terminal", "editor", "ide", "rest"]
"""The kind of client that a request comes from, for the audit."""
_OUR_CLIENTS = re.compile(r"agent-runtime-(terminal|editor|console)\b")
_END_USER = re.compile(r"[\x21-\x7e]{1,128}")


class Authentication:
    """Answers 401 to a missing and to a wrong key alike; maps a right one to its principal."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its owner in `scope["state"]`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if b"x-internal-auth" not in dict(scope["headers"]):  # a key wins over a cookie
            refusal = await admit_by_cookie(scope, self._keys)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        if is_exempt(scope["path"]):
            await self._app(scope, receive, send)
            return
        repeated = _repeated(name for name, _ in scope["headers"])
        if repeated is not None:
            problem = {"detail": f"Send the header {repeated} once", "code": BadRequest.code}
            await JSONReply(problem, 400)(scope, receive, send)
            return
        headers = dict(scope["headers"])
        found = accepted_key(self._keys.accepted, _key(scope["path"], headers))
        if found is None:
            await JSONReply({"detail": "unauthorized"}, 401)(scope, receive, send)
            return
        end_user = headers.get(b"x-end-user", b"").decode("latin-1").strip()
        if end_user and not _END_USER.fullmatch(end_user):
            problem = {"detail": "X-End-User must be 1 to 128 visible ASCII characters", "code": BadRequest.code}
            await JSONReply(problem, 400)(scope, receive, send)
            return
        owner = f"{found[1]}/{end_user}" if end_user else found[1]
        scope.setdefault("state", {})["owner"] = owner
        await self._app(scope, receive, send)


def accepted_key(accepted: Mapping[str, str], key: bytes) -> tuple[str, str] | None:
    """Find a key and its principal among the accepted ones; every one is compared, in constant time."""
    found = None
    for pair in accepted.items():
        if hmac.compare_digest(pair[0].encode(), key):
            found = pair
    return found


def _repeated(names: Iterable[bytes]) -> str | None:
    """Return a header of SINGLE that stands there twice: a proxy and this server could each mean another one."""
    count = Counter(names)
    return next((shown for name, shown in SINGLE.items() if count[name] > 1), None)


def is_exempt(path: str) -> bool:
    """Whether a path needs no key: the health probes, the documentation, and the console with its login."""
    return path in EXEMPT or path.startswith(_OPEN_FOLDERS)


def _key(path: str, headers: Mapping[bytes, bytes]) -> bytes:
    """The key of a request; Prometheus can send it as a bearer token only."""
    key = headers.get(b"x-internal-auth", b"")
    given = headers.get(b"authorization", b"")
    return given[7:] if not key and path == "/metrics" and given[:7].lower() == b"bearer " else key


async def owner_of(request: Request) -> str:
    """Return the owner whose sessions this request may see."""
    owner: str = request.state.owner
    return owner


def via_of(request: Request, otherwise: Via) -> Via:
    """Return what the login or the User-Agent of our own clients says, else `otherwise`; nothing depends on it."""
    if getattr(request.state, "login", None) is not None:
        return "console"
    named = _OUR_CLIENTS.match(request.headers.get("user-agent", ""))
    return named[1] if named else otherwise  # type: ignore[return-value] # the pattern names three of them


async def rest_via(request: Request) -> Via:
    """Return the kind of client of a REST request."""
    return via_of(request, "rest")


RestVia = Annotated[Via, Depends(rest_via)]
