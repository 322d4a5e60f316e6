"""Routes that take the body as it was read, once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class JsonRequest(Request):
    """A request whose body `api.body.limit.BodyLimit` has read."""

    async def json(self) -> Any:
        """The body as a JSON value; it is not parsed again."""
        return self.scope["state"]["json"]


class JsonRoute(APIRoute):
    """A route that takes the body as it was read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which receives the request with the body that was read."""
        handle = super().get_route_handler()

        async def handle_read(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_read
