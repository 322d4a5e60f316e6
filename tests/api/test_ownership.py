"""Every route that names a session: to another owner it is not there, and nothing of it leaks into a list."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server import create_app
from settings import Settings
from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import talking

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


def own_session(client: httpx.Client, stub: OpenAIStub) -> Ide:
    """A session of this owner that waits for an approval and has something in every list."""
    ide = Ide(client, 1)
    stub.script([{"tool": "write_file", "args": {"path": "a.dart", "content": "x"}, "id": "call_1"}])
    ide.say("Write a.dart")
    return ide


def test_another_owner_finds_nothing(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = own_session(client, stub)
    before = (ide.get(), ide.audit(), ide.pending())
    other = {"X-End-User": "other"}
    found = routes()
    assert len(found) >= 15
    for method, path in found:
        filled = path.replace("{session_id}", ide.session_id).replace("{call_id}", "call_1")
        filled = re.sub(r"\{\w+(:path)?\}", "x", filled)
        response = client.request(method, filled, json=BODIES.get((method, path)), headers=other)
        missing = client.request(method, filled.replace(ide.session_id, "s-missing"), headers=other)
        assert response.status_code == 404, (method, path, response.text)
        if (method, path) not in BODIES:
            assert response.text == missing.text.replace("s-missing", ide.session_id), (method, path)
    for message in MESSAGES:
        body = {"session_id": ide.session_id, "protocol_version": 2, "message": message}
        response = client.post("/agent/message/stream", json=body, headers=other)
        assert (response.status_code, response.json()["code"]) == (404, "session_unknown"), message
    check = {"agent": "coder", "tool": "read_file", "arguments": {"path": "a"}, "session_id": ide.session_id}
    assert client.post("/policy/check", json=check, headers=other).status_code == 404
    assert client.delete(ide.path, params={"hard": True}, headers=other).status_code == 404
    for path in ("/sessions", "/events/metrics/sessions", "/events/metrics", "/events/audit-log", "/events/stats"):
        assert ide.session_id not in client.get(path, headers=other).text, path
    empty = client.get("/events/metrics", headers=other).json()["metrics"]
    assert not any(empty.values())
    assert client.get("/events/stats", headers=other).json()["total_published"] == 0
    assert (ide.get(), ide.audit(), ide.pending()) == before


MESSAGE, CREATE = ("post", "/agent/message/stream"), ("post", "/sessions")
Told = dict[tuple[str, str], tuple[int, str, frozenset[str]]]


def seen_by_another_owner(client: httpx.Client, session_id: str) -> Told:
    """What another owner is told about one id, by route: status, names of headers, and the body of a refusal."""
    said = {"session_id": session_id, "protocol_version": 2, "message": {"type": "user_message", "content": "hello"}}
    bodies = {**BODIES, MESSAGE: said, CREATE: {"session_id": session_id}}
    told = {}
    for method, path in [*routes(), CREATE, MESSAGE]:
        filled = path.replace("{session_id}", session_id).replace("{call_id}", "call_1")
        url = re.sub(r"\{\w+(:path)?\}", "x", filled)
        response = client.request(method, url, json=bodies.get((method, path)), headers={"X-End-User": "other"})
        answer = response.text.replace(session_id, "ID") if response.is_error else ""
        told[method, path] = (response.status_code, answer, frozenset(response.headers))
    return told


def test_another_owner_learns_only_whether_an_id_is_taken(client: httpx.Client, stub: OpenAIStub) -> None:
    """A waiting and a deleted session look alike; only the two routes that create one tell them from a free id."""
    waiting, deleted, removed = (own_session(client, stub) for _ in range(3))
    assert client.delete(deleted.path).status_code == 200
    assert client.delete(removed.path, params={"hard": True}).status_code == 200
    of_taken = seen_by_another_owner(client, waiting.session_id)
    assert seen_by_another_owner(client, deleted.session_id) == of_taken
    for free in (f"s-{uuid.uuid4()}", removed.session_id):
        stub.script([{"text": "Hello"}])
        of_free = seen_by_another_owner(client, free)
        assert {route for route in of_taken if of_taken[route] != of_free[route]} == {CREATE, MESSAGE}
        assert [(of_taken[route][0], of_free[route][0]) for route in (CREATE, MESSAGE)] == [(409, 201), (404, 200)]
    assert waiting.pending() == ["call_1"]


def test_ids_of_the_server_cannot_be_guessed(client: httpx.Client) -> None:
    made = [client.post("/sessions").json()["id"] for _ in range(3)]
    assert [uuid.UUID(session_id).version for session_id in made] == [4, 4, 4]


STATEMENTS = sorted(Path(__file__).parents[2].glob("storage/sql/*/*.sql"))


def test_every_figure_carries_its_owner() -> None:
    """The views over many sessions are the ones that could leak: each names the owner, but the operator's counts."""
    for file in (path for path in STATEMENTS if path.name == "metrics.sql"):
        for name, parameters in re.findall(r"-- name: (\w+)\(([^)]*)\)", file.read_text()):
            assert "owner" in parameters or name.startswith("all_"), f"{file}: {name}"
