"""Whatever the OpenAPI document allows: no 5xx, and every answer has a documented status, type and schema."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server import create_app
from settings import Settings
from tests.ide import WRITE, Ide
from tests.openai_stub import OpenAIStub
from tests.running import KEY, talking

SESSION = "s1"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "5"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with one session that waits for an approval."""
    path = tmp_path_factory.mktemp("properties")
    stub = OpenAIStub()
    limits = {"session_wait_seconds": 1, "max_messages": 100_000, "max_switches": 100_000}
    with stub, talking(f"sqlite:///{path}/test.db", stub, **limits) as client:
        stub.script([{"tool": "write_file", "args": WRITE, "id": "c1"}])
        Ide(client, 1, session_id=SESSION).say("Write", agent_type="coder")
        yield str(client.base_url)


def operations() -> list[APIOperation[Any, Any, Any]]:
    app = create_app(Settings.load(internal_api_key=KEY))
    found = list(schemathesis.openapi.from_dict(app.openapi()).get_all_operations())
    assert all(isinstance(result, Ok) for result in found)
    operations = [result.ok() for result in found if isinstance(result, Ok)]
    # The stream of changes ends with its reader alone: tests/api/test_model_calls.py reads it.
    return [operation for operation in operations if operation.path != "/pending/stream"]


OPERATIONS = operations()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_documented(url: str, operation: APIOperation[Any, Any, Any], mode: GenerationMode) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
    def every_answer(case: Case, is_known: bool) -> None:
        is_delete = case.method == "DELETE" and case.path.endswith("{session_id}")
        if is_known and "session_id" in case.path_parameters and not is_delete:
            case.path_parameters["session_id"] = SESSION
        if case.method == "GET" and case.path.endswith("/stream"):
            case.query = {**(case.query or {}), "follow": "false"}
        response = case.call(base_url=url, headers={"X-Internal-Auth": KEY}, timeout=20)
        case.validate_response(response, checks=CHECKS)

    try:
        every_answer()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "an operation that nobody can call"


def test_every_route_is_in_the_document() -> None:
    assert len(OPERATIONS) >= 27
