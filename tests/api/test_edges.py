"""Requests at the edge of what the protocol allows: refused in its words, never with a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

import api.late_routes
import api.routes
import server  # noqa: F401 loads every module of routes
from api.dependencies import JsonRoute
from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import talking

LONE = "\ud800"


@pytest.fixture
def client(db_url: str, stub: OpenAIStub) -> Iterator[httpx.Client]:
    with talking(db_url, stub, max_body_bytes=200_000) as client:
        yield client


def post_raw(client: httpx.Client, body: bytes, path: str = "/agent/message/stream", **headers: str) -> httpx.Response:
    return client.post(path, content=body, headers={"content-type": "application/json", **headers})


BAD_BODIES = {
    "no json": b"{",
    "nan": b'{"session_id":"s","message":{"type":"tool_result","call_id":"c","result":NaN}}',
    "infinity": b'{"session_id":"s","message":{"type":"tool_result","call_id":"c","result":1e999}}',
    "not utf-8": b'{"session_id":"\xff"}',
    "bottomless": b'{"message":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "deep": b'{"message":{"type":"tool_result","result":' + b"[" * 500 + b"]" * 500 + b"}}",
    "huge number": b'{"message":' + b"9" * 5000 + b"}",
    "no object": b"[]",
    "message is text": b'{"message":"hello"}',
    "message is null": b'{"message":null}',
    "session id is a number": b'{"session_id":7,"message":{"type":"user_message","content":"x"}}',
    "content is a number": b'{"message":{"type":"user_message","content":7}}',
    "environment is a list": b'{"message":{"type":"user_message","content":"x","environment":[]}}',
}


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_bodies_of_the_wrong_shape_are_422(client: httpx.Client) -> None:
    for name, body in BAD_BODIES.items():
        response = post_raw(client, body)
        assert response.status_code == 422, (name, response.status_code, response.text[:300])
        for item in response.json()["detail"]:
            assert set(item) == {"type", "loc", "msg", "input"}, name


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_media_types_and_sizes(client: httpx.Client) -> None:
    body = json.dumps({"message": {"type": "user_message", "content": "x" * 300_000}}).encode()
    too_large = post_raw(client, body)
    assert (too_large.status_code, too_large.json()["code"]) == (413, "bad_request")
    for headers in ({"content-type": "text/plain"}, {"content-encoding": "gzip"}):
        refused = post_raw(client, b'{"message":{}}', **headers)
        assert (refused.status_code, refused.json()["code"]) == (415, "bad_request")
    assert client.post("/sessions").status_code == 201
    assert post_raw(client, b"{}", "/sessions").status_code == 201
    charset = post_raw(client, b"{}", "/sessions", **{"content-type": "application/json; charset=utf-8"})
    assert charset.status_code == 201


MESSAGES_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"type": "user_message"}, "content is required for user_message message"),
    ({"type": "user_message", "content": None}, "content is required for user_message message"),
    ({"type": "user_message", "content": " \n"}, "content is required for user_message message"),
    ({"type": "user_message", "content": "x", "agent_type": "nobody"}, "Invalid agent_type: nobody"),
    ({"type": "user_message", "content": "x", "agent_type": "universal"}, "Invalid agent_type: universal"),
    ({"type": "tool_result"}, "call_id is required for tool_result message"),
    ({"type": "switch_agent"}, "agent_type is required for switch_agent message"),
    ({"type": "switch_agent", "agent_type": "nobody"}, "Invalid agent_type: nobody"),
    ({"type": "switch_agent", "agent_type": " "}, "Invalid agent_type:  "),
    ({"type": "hitl_decision", "decision": "maybe"}, "call_id and decision are required for hitl_decision message"),
    ({"type": "hitl_decision", "call_id": "c"}, "call_id and decision are required for hitl_decision message"),
    ({"type": "hitl_decision", "call_id": "c", "decision": "maybe"}, "Invalid HITL decision: maybe"),
    ({"type": "hitl_decision", "call_id": "c", "decision": "edit"}, "modified_arguments is required for edit"),
    (
        {"type": "plan_decision", "decision": "approve"},
        "approval_request_id and decision are required for plan_decision message",
    ),
    (
        {"type": "plan_decision", "approval_request_id": "p", "decision": "edit"},
        "Invalid plan approval decision: edit",
    ),
    ({"type": "plan_decision", "approval_request_id": "p", "decision": "modify"}, "feedback is required for modify"),
    ({}, "Unsupported message type: None"),
    ({"type": None}, "Unsupported message type: None"),
    ({"type": "ping"}, "Unsupported message type: ping"),
    ({"type": {"a": True}}, 'Unsupported message type: {"a": true}'),
    ({"type": LONE + "\x00"}, "Unsupported message type: \ufffd\ufffd"),
]


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_refusals_in_the_words_of_the_protocol(client: httpx.Client) -> None:
    ide = Ide(client, 1)
    assert client.post("/sessions", json={"session_id": ide.session_id}).status_code == 201
    for message, sentence in MESSAGES_REFUSED:
        body = {"session_id": ide.session_id, "message": message}
        response = post_raw(client, json.dumps(body).encode())
        assert (response.status_code, response.json()["detail"]) == (400, sentence)
        wanted = "agent_unknown" if "agent_type:" in sentence else "bad_request"
        assert response.json()["code"] == wanted, sentence
    for kind in ("tool_result", "switch_agent", "hitl_decision", "plan_decision"):
        full = {
            "call_id": "c",
            "decision": "approve",
            "approval_request_id": "p",
            "agent_type": "ask",
        }
        response = client.post("/agent/message/stream", json={"message": {"type": kind, **full}})
        assert (response.status_code, response.json()["detail"]) == (400, f"session_id is required for {kind} message")


BAD_IDS = ["", ".", "..", "a" * 65, "a b", "ä", "a/b", "a\n", "a\x00b", LONE, "a%2Fb"]


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("session_id", BAD_IDS, ids=range(len(BAD_IDS)))
def test_ids_that_no_session_can_have(client: httpx.Client, session_id: str) -> None:
    body = {"session_id": session_id, "message": {"type": "user_message", "content": "x"}}
    for path, sent in (("/agent/message/stream", body), ("/sessions", body)):
        response = post_raw(client, json.dumps(sent).encode(), path)
        assert (response.status_code, response.json()["code"]) == (400, "bad_request")


def test_odd_ids_in_paths_are_unknown(client: httpx.Client) -> None:
    for odd in ("%00", "a%00b", "%ff", "%2e%2e", "a" * 500, "%F0%9F%98%80", "a%0Ab", "%C2%85"):
        for path in (f"/sessions/{odd}", f"/sessions/{odd}/history", f"/agents/{odd}/current"):
            response = client.get(path)
            assert (response.status_code, response.json()["code"]) == (404, "session_unknown"), path
        assert client.get(f"/events/metrics/session/{odd}").status_code == 404
    assert client.get("/events/audit-log", params={"session_id": "a\x00", "event_type": "\x00"}).status_code == 200
    ide = Ide(client, 1)
    client.post("/sessions", json={"session_id": ide.session_id})
    for odd in ("%00", "a%2Fb", "a" * 300, "plan-approval-%00", "%ff"):
        decided = client.post(f"{ide.path}/approvals/{odd}", json={"decision": "approve"})
        code = "approval_unknown" if odd.startswith("plan") else "call_unknown"
        assert (decided.status_code, decided.json()["code"]) == (404, code), odd
    removed = client.delete(f"{ide.path}/rules/%00")
    assert (removed.status_code, removed.json()["code"]) == (404, "rule_unknown")
    for kind in ("tool_result", "hitl_decision"):
        message = {"type": kind, "call_id": "\x00", "decision": "approve"}
        assert ide.refused(message)["code"] == "call_unknown"
    plan = {"type": "plan_decision", "approval_request_id": "plan-approval-\x00", "decision": "approve"}
    assert ide.refused(plan)["code"] == "approval_unknown"


def test_text_that_no_database_stores_is_replaced(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client, 1)
    stub.script([{"text": "one"}, {"text": "two"}])
    odd = f"nul \x00 and {LONE}"
    shown = "nul \ufffd and \ufffd"
    environment = {"os": odd, "shell": odd, "workspace_root": odd, "rules": [{"tool": odd}]}
    body = {"session_id": ide.session_id}
    first = {**body, "message": {"type": "user_message", "content": odd, "environment": environment}}
    assert post_raw(client, json.dumps(first).encode()).status_code == 200
    switch = {**body, "message": {"type": "switch_agent", "agent_type": "debug", "content": odd, "reason": odd}}
    assert post_raw(client, json.dumps(switch).encode()).status_code == 200
    assert ide.get()["session"]["title"] == shown
    assert [m["content"] for m in ide.get("/history")["messages"] if m["role"] == "user"] == [shown, shown]
    patch = json.dumps({"title": odd, "description": odd}).encode()
    patched = client.patch(ide.path, content=patch, headers={"content-type": "application/json"})
    assert patched.json()["session"]["title"] == shown
    rest = json.dumps({"target_agent": "ask", "reason": odd}).encode()
    assert post_raw(client, rest, f"/agents/{ide.session_id}/switch").status_code == 200


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_query_parameters(client: httpx.Client) -> None:
    for path in ("/sessions", "/events/audit-log"):
        for limit in ("0", "1001", "-1", "9" * 30):
            response = client.get(path, params={"limit": limit})
            assert (response.status_code, response.json()["detail"]) == (400, "Limit must be between 1 and 1000")
        assert client.get(path, params={"limit": "many"}).status_code == 422
    bad = client.get("/sessions", params={"offset": "-1"})
    assert (bad.status_code, bad.json()["detail"]) == (400, "Offset must be >= 0")
    far = client.get("/sessions", params={"offset": "9" * 30})
    assert (far.status_code, far.json()["sessions"]) == (200, [])
    assert client.get("/sessions?limit=5&limit=7&unknown=1").json()["limit"] == 7
    client.post("/sessions", json={"session_id": "s"})
    for after in ("-1", "x", "1.5", "²", "9" * 40):
        assert client.get("/sessions/s/stream", params={"after": after, "follow": "false"}).status_code == 400, after
    for version, status in (("3", 400), ("x", 422), ("2", 200)):
        params = {"protocol_version": version, "follow": "false"}
        assert client.get("/sessions/s/stream", params=params).status_code == status
    header = client.get("/sessions/s/stream", params={"follow": "false"}, headers={"Last-Event-ID": "x"})
    assert header.status_code == 400


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_methods_and_paths_that_are_not_there(client: httpx.Client) -> None:
    for method, path in (("HEAD", "/health"), ("OPTIONS", "/sessions"), ("PUT", "/sessions"), ("GET", "/policy/check")):
        response = client.request(method, path)
        assert response.status_code == 405, (method, path)
        assert response.headers["allow"]
        if method != "HEAD":
            assert response.json() == {"detail": "Method Not Allowed"}
    for path in ("/nothing", "/favicon.ico", "/sessions/s/nothing"):
        response = client.get(path)
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), path


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_protocol_versions(client: httpx.Client, stub: OpenAIStub) -> None:
    def types(**body: Any) -> list[str]:
        stub.add({"text": "Hi"})
        inner = body.pop("inner", {})
        message = {"type": "user_message", "content": "x", "agent_type": "ask", **inner}
        response = client.post("/agent/message/stream", json={**body, "message": message})
        assert response.status_code == 200, response.text
        return [json.loads(line[6:])["type"] for line in response.text.splitlines() if line.startswith("data: ")]

    assert types()[-1] == "assistant_message"
    assert types(inner={"protocol_version": 2})[-1] == "done"
    assert types(protocol_version=1, inner={"protocol_version": 2})[-1] == "assistant_message"
    assert types(protocol_version=2, inner={"protocol_version": 7})[-1] == "done"
    for version, status in ((0, 400), (3, 400), (True, 422), ("2", 422), (2.5, 422)):
        body = {"protocol_version": version, "message": {"type": "user_message", "content": "x"}}
        assert client.post("/agent/message/stream", json=body).status_code == status, version


def test_every_route_takes_the_body_as_it_was_read() -> None:
    assert api.late_routes.OF_SESSIONS, "imported with every module of routes"
    routers = [module.router for module in vars(api.routes).values() if hasattr(module, "router")]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    with_body = [route for route in routes if route.body_field is not None]
    assert len(with_body) >= 6
    assert [route.path for route in with_body if not isinstance(route, JsonRoute)] == []
