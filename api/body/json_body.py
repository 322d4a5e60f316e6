"""Strict JSON of request bodies, parsed once: values that can be stored and sent (docs/protocol.md, Transport)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from json_text import UnfitJSON, parse_json


class Unreadable(Exception):
    """The body is not JSON that this server reads."""


def read_json(body: bytes) -> Any:
    """Read a body; raises Unreadable for what is no JSON, and for values that cannot be kept."""
    try:
        return parse_json(body.decode("utf-8-sig"), any_integer=True)
    except UnicodeDecodeError as error:
        raise Unreadable("The body is not UTF-8") from error
    except UnfitJSON as error:
        raise Unreadable(f"The body cannot be kept: {error}") from error
    except ValueError as error:
        raise Unreadable("The body is not valid JSON") from error


class JsonRequest(Request):
    """A request whose body `api.limits.BodyLimit` has read."""

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
