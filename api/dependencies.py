"""What the routes share: the body as it was parsed, messages in it, the engine, ids of a path, documented refusals."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import AfterValidator, ValidationError

from api.auth import owner_of
from errors import BadRequest, SessionUnknown
from json_text import storable
from runs.engine import Engine
from wire.protocol import MESSAGES, AnyMessage, HitlDecision, PlanDecision
from wire.rest.problems import Problem
from wire.text import SESSION_ID, quoted

MAX_PAGE = 1000
MAX_OFFSET = 2**31 - 1


class JsonRequest(Request):
    """A request whose body `api.limits.BodyLimit` has parsed."""

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


async def engine_of(request: Request) -> Engine:
    """The engine that the server opened."""
    engine: Engine = request.app.state.engine
    return engine


async def engine_in_use(request: Request) -> Engine:
    """The engine, with its model client loaded in the background: whoever asks for sessions soon sends a message."""
    engine = await engine_of(request)
    engine.models.warm()
    return engine


def check_session_id(session_id: str) -> str:
    """Give `session_id` back, or raise BadRequest when it is not 1..64 of `A-Z a-z 0-9 _ . -`, or only dots."""
    if not SESSION_ID.fullmatch(session_id) or not session_id.strip("."):
        raise BadRequest("session_id must be 1 to 64 characters of A-Z a-z 0-9 _ . - and not only dots")
    return session_id


def known_session_id(session_id: str) -> str:
    """An id that a session can have; any other names no session, so it is unknown like one that is not there."""
    try:
        return check_session_id(session_id)
    except BadRequest as error:
        raise SessionUnknown.named(quoted(storable(session_id))) from error


def read_message(raw: dict[str, Any]) -> AnyMessage:
    """Dispatch on `type`; raises the protocol's 400 texts, and 422 for wrong JSON types."""
    kind = storable(raw.get("type"))
    model = MESSAGES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise BadRequest(f"Unsupported message type: {quoted(kind)}")
    try:
        message = model.model_validate(raw)
    except ValidationError as error:
        told = [{**item, "loc": ("body", "message", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(told) from error
    required = [name for name in model.required if name != "type"]
    if any(_is_missing(name, getattr(message, name)) for name in required):
        raise BadRequest(f"{' and '.join(required)} {'are' if required[1:] else 'is'} required for {kind} message")
    if isinstance(message, HitlDecision | PlanDecision):
        message.check_values()
    return message


def _is_missing(name: str, value: str | None) -> bool:
    """An id may be of white space, a text for the agent may not."""
    return not value or (name == "content" and value.isspace())


OpenEngine = Annotated[Engine, Depends(engine_in_use)]
WatchedEngine = Annotated[Engine, Depends(engine_of)]
"""For those who only watch: probes and metrics."""
Owner = Annotated[str, Depends(owner_of)]
SessionId = Annotated[str, Path(examples=["7f0c2b1e"]), AfterValidator(known_session_id)]
CallId = Annotated[str, Path(examples=["call_1"]), AfterValidator(storable)]


def check_page(limit: int, offset: int = 0) -> tuple[int, int]:
    """Limit and offset as the database takes them; raises BadRequest for others than the protocol allows."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadRequest("Limit must be between 1 and 1000")
    if offset < 0:
        raise BadRequest("Offset must be >= 0")
    return limit, min(offset, MAX_OFFSET)


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The documented refusals of a route, beside those that `api.openapi` adds to every route."""
    return {code: {"model": Problem} for code in codes}
