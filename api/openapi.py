"""The OpenAPI document: what FastAPI cannot derive is added once, for every route (docs/protocol.md, Transport)."""

from __future__ import annotations

from typing import Any, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.auth import EXEMPT
from api.responses import JSONReply
from wire.protocol import MESSAGES, AnyChunk
from wire.rest.problems import Invalid, Problem, TooManyRequests, Unauthorized

CHUNKS: tuple[type[BaseModel], ...] = get_args(get_args(AnyChunk)[0])
STREAMS = frozenset({"/agent/message/stream", "/sessions/{session_id}/stream"})
NOTICES = frozenset({"/pending/stream"})
_REF = "#/components/schemas/{model}"
_ADDED: tuple[type[BaseModel], ...] = (Problem, Unauthorized, TooManyRequests, Invalid)
_RATE_HEADERS = {
    "x-ratelimit-limit": {"description": "Requests a minute", "schema": {"type": "string"}},
    "x-ratelimit-remaining": {"description": "Requests left in the sliding minute", "schema": {"type": "string"}},
    "x-ratelimit-reset": {"description": "When the oldest one is forgotten, epoch s", "schema": {"type": "string"}},
}
_EVENT = {
    "description": "One event, again and again",
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The number of the chunk in its session"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": _REF.format(model="Chunk")},
        },
    },
    "required": ["data"],
}


def install(app: FastAPI) -> None:
    """Serve the document at `/openapi.json`."""

    @app.get("/openapi.json", include_in_schema=False)
    async def show() -> JSONReply:
        return JSONReply(document(app))


def document(app: FastAPI) -> dict[str, Any]:
    """Describe the routes of an application."""
    if app.openapi_schema is None:
        app.openapi_schema = _complete(get_openapi(title=app.title, version=app.version, routes=app.routes))
    return app.openapi_schema


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(_schemas(MESSAGES.values(), "validation"))
    schemas.update(_schemas(CHUNKS, "serialization"))
    schemas.update(_schemas(_ADDED, "serialization"))
    schemas["Chunk"] = _union("One chunk of a stream", {_kind(model): model for model in CHUNKS})
    schemas["MessageRequest"]["properties"]["message"] = _union("One message of a client", MESSAGES)
    document["components"]["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-Internal-Auth"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _describe(path, operation)
    return document


def _describe(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses["500"] = _refusal(Problem, "Our fault; the log says why")
    if path not in EXEMPT:
        operation["security"] = [{"key": []}]
        responses["401"] = _refusal(Unauthorized, "The key is missing or wrong")
        user = {"name": "X-End-User", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 128}}
        operation.setdefault("parameters", []).append({**user, "description": "The user whom the gateway speaks for"})
        responses.setdefault("400", _refusal(Problem, "X-End-User is not 1 to 128 visible ASCII characters"))
    if path != "/health":
        responses["429"] = _refusal(TooManyRequests, "Too many requests in the last minute")
        responses["429"]["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
        for response in responses.values():
            response.setdefault("headers", {}).update(_RATE_HEADERS)
    for code, response in responses.items():
        if code != "200" and "text/plain" in response.get("content", {}):
            response["content"] = {"application/json": response["content"].pop("text/plain")}
    if "422" in responses:
        responses["422"] = {**_refusal(Invalid, "A value has the wrong JSON type")}
    if path in NOTICES:
        responses["200"]["description"] = 'Server-sent events: `data: {"type": "changed"}`, a blank line'
        responses["200"]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    if path in STREAMS:
        responses["200"]["description"] = "Server-sent events: `id: <number>`, `data: <chunk>`, a blank line"
        responses["200"]["content"] = {"text/event-stream": {"schema": _EVENT}}


def _refusal(model: type[BaseModel], description: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _schemas(models: Any, mode: Any) -> dict[str, Any]:
    _, definitions = models_json_schema([(model, mode) for model in models], ref_template=_REF)
    found: dict[str, Any] = definitions["$defs"]
    return found


def _kind(model: type[BaseModel]) -> str:
    return str(model.model_fields["type"].default)


def _union(description: str, models: dict[str, Any]) -> dict[str, Any]:
    refs = {kind: _REF.format(model=model.__name__) for kind, model in models.items()}
    return {
        "description": description,
        "oneOf": [{"$ref": ref} for ref in refs.values()],
        "discriminator": {"propertyName": "type", "mapping": refs},
    }
