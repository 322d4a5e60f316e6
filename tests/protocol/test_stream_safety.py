"""No text of a model, a tool or a user breaks the stream: one chunk is one `data: ` line, read as the gateways read."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.ide import Ide, answer_of
from tests.openai_stub import OpenAIStub
from tests.protocol.scenario import FIELDS
from tests.servers import Serve

LONE = "\ud83d"
HOSTILE = (
    "line\nfeed\r\nreturn\rvertical\x0bform\x0cfile\x1cgroup\x1drecord\x1e\x85next\u2028line\u2029paragraph"
    '\n\ndata: {"type":"done"}\n\nid: 999\nevent: x\n: comment\nretry: 1\n data:[DONE]\n'
    'tab\t quote" slash\\ \\u2028 \\n <script> \U0001f600 ünï \x7f \x1b[31m nul\x00 lone' + LONE + " end"
)
SHOWN = HOSTILE.replace("\x00", "\ufffd").replace(LONE, "\ufffd")


@pytest.fixture
def client(shared: Serve) -> httpx.Client:
    return shared()


def read(body: bytes) -> list[dict[str, Any]]:
    """Read a body as a gateway with `str.splitlines` does; every line must be valid."""
    chunks = []
    last = 0
    for line in body.decode("utf-8").splitlines():
        if line.startswith("id: "):
            assert int(line[4:]) > last, f"ids do not rise: {line}"
            last = int(line[4:])
        elif line.startswith("data: "):
            chunks.append(json.loads(line[6:]))
            assert list(chunks[-1]) == FIELDS
        else:
            assert line in ("", ": keep-alive"), f"a line that is no frame: {line!r}"
    blocks = [block for block in body.decode().split("\n\n") if block and not block.startswith(":")]
    assert len(blocks) == len(chunks)
    return chunks


def send(client: httpx.Client, ide: Ide, message: dict[str, Any]) -> list[dict[str, Any]]:
    body = {"session_id": ide.session_id, "protocol_version": ide.version, "message": message}
    raw = json.dumps(body).encode()
    response = client.post("/agent/message/stream", content=raw, headers={"content-type": "application/json"})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    return read(response.content)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
def test_hostile_text_everywhere(client: httpx.Client, stub: OpenAIStub, version: int, streaming: bool) -> None:
    stub.streaming = streaming
    ide = Ide(client, version)
    arguments = {"path": "a.dart", "content": HOSTILE}
    question = {"question": HOSTILE, "suggestions": [HOSTILE, "b"]}
    stub.script(
        [
            {"text": "Said: " + HOSTILE},
            {"tool": "write_file", "args": arguments, "id": "c1"},
            {"tool": "read_file", "args": {"path": "b"}, "id": "c2"},
            {"tool": "ask_followup_question", "args": question, "id": "q1"},
            {"tool": "attempt_completion", "args": {"result": HOSTILE}, "id": "f1"},
        ]
    )
    chunks = send(client, ide, {"type": "user_message", "content": HOSTILE, "agent_type": "coder"})
    assert answer_of(chunks) == "Said: " + SHOWN
    if version == 2:
        assert "".join(c["token"] or "" for c in chunks if c["type"] == "assistant_message") == "Said: " + SHOWN
    chunks = send(client, ide, {"type": "user_message", "content": "Write it"})
    call = next(c for c in chunks if c["type"] == "tool_call")
    assert call["arguments"] == {"path": "a.dart", "content": SHOWN}
    edited = {"path": "a.dart", "content": HOSTILE + "!"}
    decision = {"type": "hitl_decision", "call_id": "c1", "decision": "edit", "modified_arguments": edited}
    status = send(client, ide, decision)[0]
    assert status["metadata"]["arguments"]["content"] == SHOWN + "!"
    send(client, ide, {"type": "tool_result", "call_id": "c1", "result": {HOSTILE: [HOSTILE]}})
    asked = send(client, ide, {"type": "tool_result", "call_id": "c2", "error": HOSTILE})
    assert answer_of(asked) == SHOWN
    assert answer_of(send(client, ide, {"type": "user_message", "content": HOSTILE})) == SHOWN
    switched = send(client, ide, {"type": "switch_agent", "agent_type": "debug", "reason": HOSTILE})
    assert switched[0]["metadata"]["reason"] == SHOWN
    replay = client.get(f"{ide.path}/stream", params={"follow": False, "protocol_version": version})
    assert len(read(replay.content)) >= 6
    for rest in ("", "/history", "/audit", "/pending-approvals"):
        assert client.get(ide.path + rest).json()
    assert stub.violations == []


def test_a_digest_is_of_what_the_client_sees(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    stub.script([{"tool": "write_file", "args": {"path": "a.dart", "content": HOSTILE}, "id": "c1"}])
    chunks = send(client, ide, {"type": "user_message", "content": "Write", "agent_type": "coder"})
    call = next(c for c in chunks if c["type"] == "tool_call")
    check = {"agent": "coder", "tool": "read_file", "arguments": {"path": "a"}}
    policy = client.post("/policy/check", json=check).json()["policy_version"]
    bound = [ide.session_id, "c1", "coder", "write_file", call["arguments"], policy]
    canonical = json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert call["metadata"]["digest"] == hashlib.sha256(canonical).hexdigest()


def test_tokens_of_a_mebibyte(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    token = "x\u2028" * (512 * 1024)
    stub.words = False
    stub.script([{"text": token}])
    chunks = send(client, ide, {"type": "user_message", "content": "Long", "agent_type": "ask"})
    assert answer_of(chunks) == token
    assert "".join(c["token"] or "" for c in chunks if c["type"] == "assistant_message") == token


def test_results_and_requests_of_a_mebibyte(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    long = "x\u2028" * (512 * 1024)
    stub.script([{"tool": "read_file", "args": {"path": "a"}, "id": "c1"}, {"text": "Read."}])
    send(client, ide, {"type": "user_message", "content": long[:50_000], "agent_type": "ask"})
    assert answer_of(send(client, ide, {"type": "tool_result", "call_id": "c1", "result": long})) == "Read."


ODD_IDS = ["", "a" * 65, "c1\n\ndata: {}", "nul\x00", LONE, "plan-approval-1", "a/b", "functions.read_file:0", "ü"]


def test_call_ids_of_a_model_are_made_usable(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    writes = [{"tool": "write_file", "args": {"path": f"f{n}", "content": "x"}, "id": i} for n, i in enumerate(ODD_IDS)]
    stub.script([{"tools": writes}, {"text": "All done."}])
    chunks = send(client, ide, {"type": "user_message", "content": "Write all", "agent_type": "coder"})
    calls = [c["call_id"] for c in chunks if c["type"] == "tool_call"]
    assert len(set(calls)) == len(ODD_IDS)
    for call_id in calls:
        twin = client.post(f"{ide.path}/approvals/{quote(call_id, safe='')}", json={"decision": "approve"})
        assert twin.status_code == 200, (call_id, twin.text)
        chunks = send(client, ide, {"type": "tool_result", "call_id": call_id, "result": "ok"})
    assert answer_of(chunks) == "All done."
    assert stub.violations == []
