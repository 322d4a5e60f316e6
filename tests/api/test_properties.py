"""Whatever the OpenAPI document allows: no 5xx, and every answer has a documented status, type and schema."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
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

pytestmark = pytest.mark.filterwarnings("ignore:Overriding standard format")  # schemathesis has formats of its own
SESSION = "s1"
KNOWN = {"session_id": SESSION, "call_id": "c1", "rule_id": "1", "model_call_id": "1"}
"""An id for each parameter of a path: any string is a valid one, so what is invalid is sought beside the path."""
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


Operation = APIOperation[Any, Any, Any]


def document() -> dict[str, Any]:
    return create_app(Settings.load(internal_api_key=KEY)).openapi()


def with_known_ids(document: dict[str, Any]) -> dict[str, Any]:
    """The document with ids in its paths in place of parameters."""
    paths = {}
    for path, methods in document["paths"].items():
        filled = re.sub(r"\{(\w+)\}", lambda name: KNOWN[name[1]], path)
        paths[filled] = {
            method: {**told, "parameters": [given for given in told.get("parameters", []) if given["in"] != "path"]}
            for method, told in methods.items()
        }
    return {**document, "paths": paths}


def operations(document: dict[str, Any]) -> list[Operation]:
    found = list(schemathesis.openapi.from_dict(document).get_all_operations())
    assert all(isinstance(result, Ok) for result in found)
    operations = [result.ok() for result in found if isinstance(result, Ok)]
    # The stream of changes ends with its reader alone: tests/api/test_model_calls.py reads it.
    return [operation for operation in operations if operation.path != "/pending/stream"]


def may_be_invalid(operation: Operation) -> bool:
    return bool(operation.query or operation.headers or operation.body)


OPERATIONS = operations(document())
CASES = [
    *((operation, GenerationMode.POSITIVE) for operation in OPERATIONS),
    *((found, GenerationMode.NEGATIVE) for found in operations(with_known_ids(document())) if may_be_invalid(found)),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("operation", "mode"), CASES, ids=[f"{one.label}-{mode.value}" for one, mode in CASES])
def test_every_answer_is_documented(url: str, operation: Operation, mode: GenerationMode) -> None:
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

    every_answer()


def test_every_route_is_in_the_document() -> None:
    assert len(OPERATIONS) >= 27
    assert len(CASES) >= 2 * len(OPERATIONS) - 2, "the probes of an orchestrator alone take nothing"
