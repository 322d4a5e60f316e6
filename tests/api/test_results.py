"""Results of calls: whole in the history and behind their own address, whatever the model reads of them."""

from __future__ import annotations

import json

import pytest

from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import talking

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
        ide = Ide(client)
        stub.script([{**tool, "id": "c1"}, {"text": "ok"}, {"text": "still here"}])
        ide.say("Go", agent_type="coder")
        ide.result("c1", RESULT)
        seen = stub.last_agent_request["messages"][-1]["content"]
        assert "characters left out" in seen
        assert len(seen) < 1500
        messages = ide.get("/history")["messages"]
        content = next(m["content"] for m in messages if m["role"] == "tool")
        assert json.loads(content) == RESULT
        ide.say("And?")
        seen = next(m["content"] for m in stub.last_agent_request["messages"] if m["role"] == "tool")
        assert "characters left out" in seen


def test_a_result_has_an_address(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        ide = Ide(client)
        stub.script([{"tool": "read_file", "args": {"path": "a"}, "id": "c/1"}, {"text": "ok"}])
        ide.say("Go", agent_type="coder")
        before = ide.get("/calls/c/1/result")
        assert before == {
            "call_id": "c/1",
            "tool_name": "read_file",
            "state": "executing",
            "result": None,
            "error": None,
        }
        ide.result("c/1", RESULT)
        after = ide.get("/calls/c/1/result")
        assert (after["state"], after["result"]) == ("done", RESULT)
        missing = client.get(f"{ide.path}/calls/nobody/result")
        assert (missing.status_code, missing.json()["code"]) == (404, "call_unknown")
        other = client.get(f"{ide.path}/calls/c/1/result", headers={"X-End-User": "other"})
        assert (other.status_code, other.json()["code"]) == (404, "session_unknown")
