"""No internal text ever reaches a client: many things go wrong here, and every body is searched."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ide import WRITE, Ide
from tests.openai_stub import OpenAIStub
from tests.running import talking

ROOT = Path(__file__).parents[2]
INTERNAL = re.compile(
    r"""Traceback|File\ "|\.py\b|site-packages|line\ \d+,\ in|Error\(|Exception
    |(?<![a-z])(?:select|insert|update|delete)\s.{0,40}\b(?:from|into|set)\s|psycopg|sqlite|postgres|langgraph|langchain|pydantic|asyncio|starlette|fastapi|uvicorn
    |httpx|aiosql|openai|\b(?:KeyError|TypeError|ValueError|NoneType|dict_keys|object\ at\ 0x)|<class|\bself\.
    |/home/|/tmp/|/usr/|https?://|127\.0\.0\.1|localhost|"""
    + re.escape(str(ROOT)),
    re.IGNORECASE | re.VERBOSE,
)

FAILURES: list[dict[str, Any]] = [
    {"status": 500, "body": 'Traceback (most recent call last): File "/home/x/app.py", line 1, in f'},
    {"status": 400, "body": {"error": {"message": "psycopg.errors at /usr/lib/python3"}}},
    {"status": 401, "body": {"error": {"message": "Incorrect API key: sk-secret at https://api.internal"}}},
    {"status": 404, "body": "<html>nginx</html>"},
    {"status": 429, "body": {"error": {"message": "KeyError('x')"}}},
    {"raw": {}},
    {"raw": {"choices": []}},
    {"raw": "not json"},
    {"bytes": "data: {broken\n\n"},
    {"bytes": "\x00\x01", "type": "application/octet-stream"},
    {"text": "", "usage": None},
    {"text": "half an answer", "error": {"message": "boom at /usr/lib/python3/x.py"}},
    {"text": "half an answer of some words", "drop_after": 300},
    {"text": "[Error] LiteLLM proxy unavailable: http://localhost:4000"},
    {"tool": "write_file", "args": "{not json", "id": "b1"},
    {"tool": "write_file", "args": {"surprise": 1}, "id": "b2"},
    {"tool": "no_such_tool", "args": {}, "id": "b3"},
    {"tool": "create_plan", "args": {"title": "t", "description": "d", "subtasks": []}, "id": "b6"},
]


class Listener:
    """Keeps every byte that the server sends."""

    def __init__(self, client: httpx.Client) -> None:
        self.bodies: list[tuple[str, str]] = []
        client.event_hooks["response"] = [self.hear]

    def hear(self, response: httpx.Response) -> None:
        response.read()
        where = f"{response.request.method} {response.request.url.path} {response.status_code}"
        headers = "\n".join(f"{key}: {value}" for key, value in response.headers.items() if key != "server")
        self.bodies.append((where, headers + "\n" + response.text))

    def assert_clean(self) -> None:
        assert self.bodies
        for where, body in self.bodies:
            found = INTERNAL.search(body)
            assert found is None, f"{where}: {found[0]!r} in {body[max(0, found.start() - 200) : found.end() + 200]}"


@pytest.fixture
def client(db_url: str, stub: OpenAIStub) -> Iterator[httpx.Client]:
    with talking(db_url, stub, llm_timeout_seconds=2) as client:
        yield client


def test_when_the_model_fails_in_every_way(client: httpx.Client, stub: OpenAIStub) -> None:
    heard = Listener(client)
    failed = 0
    for failure in FAILURES:
        ide = Ide(client)
        stub.script([failure] * 3)
        chunks = ide.say("Try", agent_type="coder")
        errors = [c for c in chunks if c["type"] == "error"]
        failed += bool(errors)
        for error in errors:
            assert error["error"] == error["content"]
            assert re.fullmatch(r"[A-Z][^\n]+", error["content"]), error["content"]
            assert isinstance(error["metadata"]["retryable"], bool)
        stub.script([{"text": "Fine now."}])
        ide.say("Again")
        ide.get("/history")
        ide.audit()
        client.get(f"/events/metrics/session/{ide.session_id}")
    assert failed >= 15
    heard.assert_clean()


def test_when_a_local_tool_fails(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub, multi_agent_mode=False) as client:
        heard = Listener(client)
        for number, expression in enumerate(["__import__('os').system('ls')", "9**9**9", "1/0"]):
            ide = Ide(client)
            stub.script([{"tool": "calculator", "args": {"expr": expression}, "id": f"b{number}"}, {"text": "No."}])
            ide.say("Try")
            [told] = ide.tool_messages().values()
            assert told.startswith("Error: ")
            ide.audit()
        heard.assert_clean()


def test_when_the_model_is_not_there(db_url: str) -> None:
    with OpenAIStub() as gone, talking(db_url, gone, llm_timeout_seconds=2) as client:
        heard = Listener(client)
        gone.stop()
        chunks = Ide(client).say("Anybody?", agent_type="coder")
        assert [c["metadata"]["code"] for c in chunks if c["type"] == "error"] == ["llm_unavailable"]
        gone.start()
        heard.assert_clean()


def test_when_requests_are_nonsense(client: httpx.Client, stub: OpenAIStub) -> None:
    heard = Listener(client)
    ide = Ide(client)
    stub.script([{"tool": "write_file", "args": WRITE, "id": "c1"}])
    ide.say("Write", agent_type="coder")
    odd: list[Any] = [None, 7, "x", [], {}, {"a": 1}, True, "' or 1=1; --", "\x00", "\ud800", "x" * 5000]
    headers = {"content-type": "application/json"}
    for value in odd:
        for key in ("type", "content", "call_id", "decision", "agent_type", "environment", "modified_arguments"):
            for kind in ("user_message", "tool_result", "switch_agent", "hitl_decision", "plan_decision"):
                if key == "content" and kind in ("user_message", "switch_agent"):
                    continue
                message = {"type": kind, "call_id": "nobody", "decision": "edit", "agent_type": "nobody", key: value}
                body = json.dumps({"session_id": ide.session_id, "protocol_version": 2, "message": message}).encode()
                response = client.post("/agent/message/stream", content=body, headers=headers)
                assert response.status_code in (400, 404, 422), (kind, key, value, response.text)
        for path in ("/sessions", "/policy/check", f"{ide.path}/approvals/c1", f"/agents/{ide.session_id}/switch"):
            response = client.post(path, content=json.dumps(value).encode(), headers=headers)
            assert response.status_code < 500, (path, value)
    assert ide.pending() == ["c1"]
    heard.assert_clean()


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_when_the_database_is_broken(db_url: str, stub: OpenAIStub, tmp_path: Path) -> None:
    """A table is gone: nobody expects that, and nobody is told more than that something went wrong."""
    with talking(db_url, stub) as client:
        heard = Listener(client)
        ide = Ide(client)
        stub.script([{"text": "Hi"}])
        ide.say("Hello", agent_type="ask")
        with sqlite3.connect(f"{tmp_path}/test.db") as connection:
            for table in ("audit_log", "tool_calls", "messages"):
                connection.execute(f"drop table {table}")
        connection.close()
        for method, path in (("GET", ide.path), ("GET", f"{ide.path}/audit"), ("GET", "/events/metrics")):
            response = client.request(method, path)
            assert response.status_code == 500, path
            assert response.json() == {"detail": "Internal server error", "code": "internal"}
        response, _ = ide.post({"type": "user_message", "content": "Still there?"})
        assert response.status_code == 500
        heard.assert_clean()
