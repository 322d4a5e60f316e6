"""Bad input is refused with a clear sentence and the right status; never a 5xx, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.running import api_client, running_server

Serve = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("bad")
    with running_server(db_url=f"sqlite:///{folder}/t.db", max_body_bytes=2000) as url, api_client(url) as found:
        yield found


def user(**more: Any) -> dict[str, Any]:
    return {"session_id": "s1", "message": {"type": "user_message", "content": "hi", **more}}


BODIES: list[tuple[str, Any, int, str]] = [
    ("unknown agent", user(agent_type="wizard"), 400, "Invalid agent_type: wizard"),
    ("no content", {"session_id": "s1", "message": {"type": "user_message"}}, 400, "content is required"),
    ("blank content", user(content=" \n "), 400, "content is required"),
    ("content is a number", user(content=5), 422, ""),
    ("no message", {"session_id": "s1"}, 422, ""),
    ("message is text", {"message": "hi"}, 422, ""),
    ("message is null", {"message": None}, 422, ""),
    ("body is a list", [1, 2], 422, ""),
    ("no type", {"message": {}}, 400, "Unsupported message type: None"),
    ("type is a number", {"message": {"type": 5}}, 400, "Unsupported message type: 5"),
    (
        "unknown session",
        {"session_id": "nope", "protocol_version": 2, "message": {"type": "tool_result", "call_id": "c"}},
        404,
        "nope",
    ),
    ("no session", {"message": {"type": "tool_result", "call_id": "c"}}, 400, "session_id is required for tool_result"),
    ("bad session id", {**user(), "session_id": "../etc"}, 400, "session_id"),
    ("dots", {**user(), "session_id": ".."}, 400, "session_id"),
    ("long session id", {**user(), "session_id": "x" * 65}, 400, "session_id"),
    ("version 3", {**user(), "protocol_version": 3}, 400, "protocol_version"),
    ("version true", {**user(), "protocol_version": True}, 422, ""),
    ("version inside", user(protocol_version="x"), 400, "protocol_version"),
    ("too large", user(content="x" * 3000), 413, "2000"),
]


@pytest.mark.parametrize(("name", "body", "status", "text"), BODIES, ids=[row[0] for row in BODIES])
def test_refused(client: httpx.Client, name: str, body: Any, status: int, text: str) -> None:
    response = client.post("/agent/message/stream", json=body)
    assert response.status_code == status, response.text
    detail = response.json()["detail"]
    if status == 422:
        assert {"type", "loc", "msg", "input"} == set(detail[0])
    else:
        assert text in detail
        assert response.json()["code"]
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{not json", {"content-type": "application/json"}, 422),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-type": "application/json", "content-encoding": "gzip"}, 415),
        (b"\xff\xfe", {"content-type": "application/json"}, 422),
        (b'{"message": {"type": "\\ud800"}}', {"content-type": "application/json"}, 400),
    ],
    ids=["broken", "plain text", "gzip", "no utf-8", "lone surrogate"],
)
def test_bodies_that_are_no_json(client: httpx.Client, content: bytes, headers: dict[str, str], status: int) -> None:
    response = client.post("/agent/message/stream", content=content, headers=headers)
    assert response.status_code == status, response.text
    json.loads(response.content)


@pytest.mark.parametrize("key", ["", "wrong", "test-ke", "test-key2", "ключ"])
def test_a_wrong_key_and_none_get_the_same_answer(client: httpx.Client, key: str) -> None:
    headers = httpx.Headers({b"X-Internal-Auth": key.encode()})
    response = client.get("/sessions", headers=headers)
    assert (response.status_code, response.json()) == (401, {"detail": "unauthorized"})
    assert client.get("/health", headers=headers).status_code == 200


def test_unknown_paths_and_methods(client: httpx.Client) -> None:
    assert client.get("/nope").status_code == 404
    response = client.put("/sessions")
    assert (response.status_code, response.json()) == (405, {"detail": "Method Not Allowed"})
