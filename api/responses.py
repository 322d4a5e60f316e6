"""JSON replies, and every refusal in the form of the protocol (docs/protocol.md, Transport)."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from errors import AgentRuntimeError, NotReady, Overloaded, QueueFull, TooManyAtOnce
from json_text import to_json
from wire.rest.problems import TooManyRequests

RETRY_AFTER_S = 2
_log = logging.getLogger("api")


class JSONReply(JSONResponse):
    """JSON that can always be sent: text that is no UTF-8 is replaced."""

    def render(self, content: Any) -> bytes:
        """Encode as UTF-8, escaping what cannot be framed."""
        return to_json(content).encode()


def install(app: FastAPI) -> None:
    """Translate every exception once, here."""
    app.add_exception_handler(AgentRuntimeError, _refusal)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


async def _refusal(request: Request, error: Exception) -> JSONReply:
    assert isinstance(error, AgentRuntimeError)
    if error.status >= 500 and not isinstance(error, NotReady):
        return internal_error(request.url.path, error)
    if isinstance(error, QueueFull | Overloaded | TooManyAtOnce):
        request.app.state.engine.meters.refused(error.details.get("kind", "queue"))
    if isinstance(error, TooManyAtOnce):
        told = TooManyRequests(limit=error.details["limit"], window="at once", retry_after=RETRY_AFTER_S)
        return JSONReply(told.model_dump(), error.status, headers={"Retry-After": str(RETRY_AFTER_S)})
    body: dict[str, Any] = {"detail": error.message, "code": error.code}
    if "state" in error.details:
        body["state"] = error.details["state"]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if error.retryable else None
    return JSONReply(body, error.status, headers=headers)


async def _validation(_: Request, error: Exception) -> JSONReply:
    assert isinstance(error, RequestValidationError)
    told = [{key: item.get(key) for key in ("type", "loc", "msg", "input")} for item in error.errors()]
    for item in told:
        if isinstance(item["input"], bytes):
            item["input"] = item["input"].decode("utf-8", "replace")
    return JSONReply({"detail": told}, 422)


async def _http(_: Request, error: Exception) -> JSONReply:
    assert isinstance(error, HTTPException)
    body = {"detail": error.detail}
    if error.status_code == 404:
        body["code"] = "not_found"
    if error.status_code == 400:
        body["code"] = "bad_request"
    return JSONReply(body, error.status_code, headers=error.headers)


def internal_error(path: str, error: Exception) -> JSONReply:
    """Log an unexpected exception and make its reply."""
    _log.error("request failed", exc_info=error, extra={"action": "request_failed", "path": path})
    return JSONReply({"detail": "Internal server error", "code": "internal"}, 500)
