"""Results of calls: whole in the history and behind their own address, whatever the model reads of them."""

from __future__ import annotations

import json

import pytest

from tests.openai_stub import OpenAIStub
from tests.protocol.talk import Talk, talking

RESULT = {"success": True, "content": "x" * 5000 + "END", "lines_read": 1}


@pytest.mark.parametrize("asked", [False, True])
def test_the_history_holds_a_result_whole_that_the_model_reads_cut(db_url: str, stub: OpenAIStub, asked: bool) -> None:
    tool = (
        {"tool": "write_file", "args": {"path": "a", "content": "x"}}
        if asked
        else {
            "tool": "read_file",
            "args": {"path": "a"},
        }
    )
    with talking(db_url, stub, max_tool_result_chars=1000) as client:
        talk = Talk(client, 2)
        stub.script([{**tool, "id": "c1"}, {"text": "ok"}, {"text": "still here"}])
        talk.say("Go", agent_type="coder")
        talk.result("c1", RESULT)
        seen = stub.last_agent_request["messages"][-1]["content"]
        assert "characters left out" in seen
        assert len(seen) < 1500
        messages = talk.get("/history")["messages"]
        content = next(m["content"] for m in messages if m["role"] == "tool")
        assert json.loads(content) == RESULT
        talk.say("And?")
        seen = next(m["content"] for m in stub.last_agent_request["messages"] if m["role"] == "tool")
        assert "characters left out" in seen


def test_a_result_has_an_address(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        talk = Talk(client, 2)
        stub.script([{"tool": "read_file", "args": {"path": "a"}, "id": "c/1"}, {"text": "ok"}])
        talk.say("Go", agent_type="coder")
        before = talk.get("/calls/c/1/result")
        assert before == {
            "call_id": "c/1",
            "tool_name": "read_file",
            "state": "executing",
            "result": None,
            "error": None,
        }
        talk.result("c/1", RESULT)
        after = talk.get("/calls/c/1/result")
        assert (after["state"], after["result"]) == ("done", RESULT)
        missing = client.get(f"{talk.path}/calls/nobody/result")
        assert (missing.status_code, missing.json()["code"]) == (404, "call_unknown")
        stranger = client.get(f"{talk.path}/calls/c/1/result", headers={"X-End-User": "stranger"})
        assert (stranger.status_code, stranger.json()["code"]) == (404, "session_unknown")
