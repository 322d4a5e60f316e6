"""Every route that names a session: to another owner it is not there, and nothing of it leaks into a list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server import create_app
from settings import Settings
from tests.openai_stub import OpenAIStub
from tests.protocol.talk import Talk, talking

BODIES: dict[tuple[str, str], Any] = {
    ("post", "/agents/{session_id}/switch"): {"target_agent": "ask"},
    ("patch", "/sessions/{session_id}"): {"title": "mine now"},
    ("post", "/sessions/{session_id}/approvals/{call_id}"): {"decision": "approve"},
}
MESSAGES = (
    {"type": "user_message", "content": "hello"},
    {"type": "tool_result", "call_id": "call_1", "result": "x"},
    {"type": "switch_agent", "agent_type": "ask"},
    {"type": "hitl_decision", "call_id": "call_1", "decision": "approve"},
    {"type": "plan_decision", "approval_request_id": "plan-approval-x", "decision": "approve"},
)


def routes() -> list[tuple[str, str]]:
    app = create_app(Settings.load(internal_api_key="k"))
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    return [(method, path) for path, operations in paths.items() for method in operations if "{session_id}" in path]


@pytest.fixture
def client(db_url: str, stub: OpenAIStub) -> Iterator[httpx.Client]:
    with talking(db_url, stub) as client:
        yield client


def own_session(client: httpx.Client, stub: OpenAIStub) -> Talk:
    """A session of this owner that waits for an approval and has something in every list."""
    talk = Talk(client)
    stub.script([{"tool": "write_file", "args": {"path": "a.dart", "content": "x"}, "id": "call_1"}])
    talk.say("Write a.dart")
    return talk


def test_another_owner_finds_nothing(client: httpx.Client, stub: OpenAIStub) -> None:
    talk = own_session(client, stub)
    before = (talk.get(), talk.audit(), talk.pending())
    stranger = {"X-End-User": "stranger"}
    found = routes()
    assert len(found) >= 15
    for method, path in found:
        filled = path.replace("{session_id}", talk.session_id).replace("{call_id}", "call_1")
        filled = re.sub(r"\{\w+(:path)?\}", "x", filled)
        response = client.request(method, filled, json=BODIES.get((method, path)), headers=stranger)
        missing = client.request(method, filled.replace(talk.session_id, "s-missing"), headers=stranger)
        assert response.status_code == 404, (method, path, response.text)
        if (method, path) not in BODIES:
            assert response.text == missing.text.replace("s-missing", talk.session_id), (method, path)
    for message in MESSAGES:
        body = {"session_id": talk.session_id, "protocol_version": 2, "message": message}
        response = client.post("/agent/message/stream", json=body, headers=stranger)
        assert (response.status_code, response.json()["code"]) == (404, "session_unknown"), message
    check = {"agent": "coder", "tool": "read_file", "arguments": {"path": "a"}, "session_id": talk.session_id}
    assert client.post("/policy/check", json=check, headers=stranger).status_code == 404
    assert client.delete(talk.path, params={"hard": True}, headers=stranger).status_code == 404
    for path in ("/sessions", "/events/metrics/sessions", "/events/metrics", "/events/audit-log", "/events/stats"):
        assert talk.session_id not in client.get(path, headers=stranger).text, path
    empty = client.get("/events/metrics", headers=stranger).json()["metrics"]
    assert not any(empty.values())
    assert client.get("/events/stats", headers=stranger).json()["total_published"] == 0
    assert (talk.get(), talk.audit(), talk.pending()) == before


STATEMENTS = sorted(Path(__file__).parents[2].glob("storage/sql/*/*.sql"))


def test_every_figure_carries_its_owner() -> None:
    """The views over many sessions are the ones that could leak: each names the owner, but the operator's counts."""
    for file in (path for path in STATEMENTS if path.name == "metrics.sql"):
        for name, parameters in re.findall(r"-- name: (\w+)\(([^)]*)\)", file.read_text()):
            assert "owner" in parameters or name.startswith("all_"), f"{file}: {name}"
