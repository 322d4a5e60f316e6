"""Logins of the console: a cookie stands for a key, and is good for requests of the console's own pages only."""

from __future__ import annotations

import hashlib
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

from api.keys import Keys
from api.responses import JSONReply
from runs.engine import Engine
from storage.database import stamp_in
from storage.tables import logins
from storage.tables.logins import Login

COOKIE = "agent_runtime_console"
LOGIN_HOURS = 12.0
PAGE = "/console"
"""The console's own paths begin so: its files, login and logout need no key."""
_SAFE = ("GET", "HEAD", "OPTIONS")


async def admit_by_cookie(scope: Scope, keys: Keys) -> JSONReply | None:
    """Give a request with the console's cookie the key that it stands for; return a refusal of another site's write."""
    headers = MutableHeaders(scope=scope)
    token = _token(headers.get("cookie", ""))
    is_write = scope["method"] not in _SAFE
    if is_write and (token or _is_page(scope["path"])) and not _is_same_site(headers):
        return JSONReply({"detail": "This request came from another site."}, 403)
    if token:
        engine: Engine = scope["app"].state.engine
        async with engine.database.autocommit() as tx:
            login = await logins.find(tx, _hash(token))
        key = next((key for key in keys.accepted if _hash(key) == login.key_hash), None) if login is not None else None
        if login is not None and key is not None:
            headers["x-internal-auth"] = key
            headers["x-end-user"] = login.end_user
            scope.setdefault("state", {})["login"] = login
    return None


def _is_page(path: str) -> bool:
    return path == PAGE or path.startswith(PAGE + "/")


def new_login(key: str, principal: str, end_user: str) -> tuple[str, Login]:
    """Make the token of a cookie that stands for an accepted key, and the row that remembers it."""
    token = secrets.token_urlsafe(32)
    return token, Login(_hash(token), _hash(key), principal, end_user, stamp_in(LOGIN_HOURS))


def _token(header: str) -> str:
    try:
        cookie = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _is_same_site(headers: MutableHeaders) -> bool:
    """Whether a browser says that our own page made the request; an old browser names the origin at least."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")
