"""What the routes share: the engine of the process, and the refusals that OpenAPI names."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from runs.engine import Engine
from wire.resources import Problem


def engine_of(request: Request) -> Engine:
    """The engine that the server opened."""
    engine: Engine = request.app.state.engine
    return engine


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The documented refusals of a route."""
    special: dict[int, dict[str, Any]] = {
        429: {"description": "Too many requests", "content": {"application/json": {"schema": {"type": "object"}}}},
    }
    return {code: special.get(code, {"model": Problem}) for code in (*codes, 401) if code != 401}
