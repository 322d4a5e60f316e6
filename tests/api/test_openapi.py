"""The OpenAPI document: every chunk, every message, every refusal, with examples that hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from api.auth import EXEMPT
from server import create_app
from settings import Settings
from tests.protocol.test_golden import CHUNKS, golden
from wire.protocol import MESSAGES

DOCUMENT: dict[str, Any] = create_app(Settings.load(internal_api_key="k")).openapi()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = [(path, method, told) for path, methods in DOCUMENT["paths"].items() for method, told in methods.items()]


def validate(value: Any, name: str) -> None:
    jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}})


def test_the_chunk_union_is_whole() -> None:
    union = SCHEMAS["Chunk"]
    assert set(union["discriminator"]["mapping"]) == set(CHUNKS)
    for kind in CHUNKS:
        validate(golden(f"chunk_{kind}"), "Chunk")
    with pytest.raises(jsonschema.ValidationError):
        validate({"type": "done"}, "Chunk")


def test_the_messages_are_whole() -> None:
    union = SCHEMAS["MessageRequest"]["properties"]["message"]
    assert set(union["discriminator"]["mapping"]) == set(MESSAGES)
    for kind in MESSAGES:
        validate({"session_id": "s", "message": golden(f"message_{kind}")}, "MessageRequest")
    with pytest.raises(jsonschema.ValidationError):
        validate({"message": {"type": "user_message"}}, "MessageRequest")


def test_every_body_has_an_example_that_holds() -> None:
    bodies = []
    for path, method, told in OPERATIONS:
        if "requestBody" not in told:
            continue
        schema = told["requestBody"]["content"]["application/json"]["schema"]
        refs = [option["$ref"] for option in schema.get("anyOf", [schema]) if "$ref" in option]
        name = refs[0].rsplit("/", 1)[1]
        assert SCHEMAS[name]["examples"], (method, path)
        validate(SCHEMAS[name]["examples"][0], name)
        bodies.append(name)
    assert len(bodies) == 7


@pytest.mark.parametrize(("path", "method", "told"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS])
def test_every_operation_names_its_refusals(path: str, method: str, told: dict[str, Any]) -> None:
    answers = set(told["responses"])
    assert "500" in answers
    assert ("429" in answers) == (path != "/health")
    assert ("401" in answers) == (path not in EXEMPT)
    assert ("security" in told) == (path not in EXEMPT)
    if "{session_id}" in path:
        assert "404" in answers
    if "requestBody" in told:
        assert {"413", "415", "422"} <= answers
    assert told["description"], "an operation says what it does"


def test_the_document_is_served_without_a_key(tmp_path: Path) -> None:
    app = create_app(Settings.load(internal_api_key="k", db_url=f"sqlite:///{tmp_path}/d.db"))
    with TestClient(app) as client:
        assert client.get("/openapi.json").json() == DOCUMENT
