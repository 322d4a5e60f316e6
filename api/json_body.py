"""Strict JSON of request bodies, read once: what the runtime can store, send on and show (protocol section 1)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

MAX_DEPTH = 100


class Unreadable(Exception):
    """The body is not JSON that this server reads."""


def read_json(body: bytes) -> Any:
    """Read a body; raises Unreadable for what is no JSON (NaN and Infinity are none), and for bottomless nesting."""
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_constant, parse_float=_number)
    except UnicodeDecodeError as error:
        raise Unreadable("The body is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable("The body is not valid JSON") from error
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Unreadable(f"The body is nested deeper than {MAX_DEPTH} levels")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _depth(value: Any) -> int:
    """How deep arrays and objects are nested, level by level."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH:
            break
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


class JsonRequest(Request):
    """A request whose body `api.limits.BodyLimit` has read."""

    async def json(self) -> Any:
        """The body as a JSON value; it is not parsed again."""
        return self.scope["state"]["json"]


class JsonRoute(APIRoute):
    """A route that takes the body as it was read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See APIRoute."""
        handle = super().get_route_handler()

        async def handle_read(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_read
