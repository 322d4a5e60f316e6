"""The Host check: a name that the operator did not list is refused (docs/settings.md, ALLOWED_HOSTS)."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from api.responses import JSONReply
from errors import BadRequest

PROBES = frozenset({"/health", "/ready"})
"""Probes of an orchestrator name the address of the container."""


class HostCheck:
    """Answers 400 to a request for another host name than those allowed."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["path"] not in PROBES and not self._is_allowed(scope):
            problem = {"detail": "This server does not answer for that host name", "code": BadRequest.code}
            await JSONReply(problem, 400)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"host"]
        return len(given) == 1 and name_of(given[0].decode("latin-1")) in self._allowed


def name_of(host: str) -> str:
    """The name in a Host header, without port, brackets and a final dot, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()
