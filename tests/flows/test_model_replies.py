"""What a real model server may answer, over real HTTP: each ends in a clear chunk and a usable session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ide import Ide, answer_of, error_of, of_type, outcome_of
from tests.openai_stub import OpenAIStub

READ = {"tool": "read_file", "args": {"path": "a.py"}, "id": "call_1"}
Serve = Callable[..., Ide]


@pytest.fixture(params=[True, False], ids=["streaming", "plain"], autouse=True)
def _stream(request: pytest.FixtureRequest, stub: OpenAIStub) -> None:
    stub.streaming = request.param


def usable(ide: Ide, stub: OpenAIStub) -> None:
    """The next message gets its answer, and no history ever lacked a tool message."""
    stub.script([{"text": "Still here."}])
    assert answer_of(ide.say("Are you there?")) == "Still here."
    assert stub.violations == []


def test_plain_answer(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"text": "Two words and more."}])
    chunks = ide.say("hi", agent_type="ask")
    deltas = [c["token"] for c in of_type(chunks, "assistant_message") if not c["is_final"]]
    assert "".join(deltas) == "Two words and more." == answer_of(chunks)
    assert outcome_of(chunks) == "completed"
    usable(ide, stub)


def test_tool_call(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([READ, {"text": "I read it."}])
    chunks = ide.say("read a.py", agent_type="coder")
    call = of_type(chunks, "tool_call")[0]
    assert (call["tool_name"], call["arguments"], call["requires_approval"]) == ("read_file", {"path": "a.py"}, False)
    assert outcome_of(chunks) == "awaiting_tool"
    assert answer_of(ide.result(call["call_id"], {"content": "x = 1"})) == "I read it."
    usable(ide, stub)


def test_truncated_tool_call_is_never_executed(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"tool": "write_file", "args": '{"path": "a.py", "content": "half', "truncated": True}])
    chunks = ide.say("write a.py", agent_type="coder")
    assert of_type(chunks, "tool_call") == []
    assert error_of(chunks) == "llm_bad_reply"
    usable(ide, stub)


def test_truncated_call_that_looks_whole_is_never_executed(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{**READ, "truncated": True}])
    chunks = ide.say("read a.py", agent_type="coder")
    assert of_type(chunks, "tool_call") == []
    assert error_of(chunks) == "llm_bad_reply"
    usable(ide, stub)


def test_broken_json_is_told_to_the_model(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"tool": "read_file", "args": '{"path": ', "id": "call_bad"}, READ])
    chunks = ide.say("read a.py", agent_type="coder")
    assert [c["call_id"] for c in of_type(chunks, "tool_call")] == ["call_1"]
    told = [m for m in stub.last_agent_request["messages"] if m["role"] == "tool"]
    assert told[-1]["content"].startswith("The arguments of this call are not valid JSON:")
    usable(ide, stub)


def test_three_broken_replies_end_the_turn(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"tool": "read_file", "args": "{", "id": f"call_{n}"} for n in range(4)])
    chunks = ide.say("read a.py", agent_type="coder")
    assert (of_type(chunks, "tool_call"), error_of(chunks)) == ([], "llm_bad_reply")
    assert stub.agent_calls == 3
    usable(ide, stub)


def test_fenced_json_in_text_is_a_call(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"text": '```json\n{"name": "read_file", "arguments": {"path": "a.py"}}\n```'}])
    chunks = ide.say("read a.py", agent_type="coder")
    assert of_type(chunks, "assistant_message") == []
    assert of_type(chunks, "tool_call")[0]["arguments"] == {"path": "a.py"}
    usable(ide, stub)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ({"status": 500}, "llm_unavailable"),
        ({"text": "[Error] LiteLLM proxy unavailable"}, "llm_unavailable"),
        ({"raw": {"choices": []}}, "llm_bad_reply"),
        ({"text": ""}, "llm_bad_reply"),
        ({"hang": True}, "llm_timeout"),
    ],
    ids=["500", "error as text", "no choices", "empty", "timeout"],
)
def test_failure_is_one_plain_sentence(serve: Serve, stub: OpenAIStub, reply: dict[str, Any], code: str) -> None:
    ide = serve(llm_timeout_seconds=1.5)
    stub.script([reply])
    chunks = ide.say("hi", agent_type="ask")
    assert error_of(chunks) == code
    error = of_type(chunks, "error")[0]
    assert error["error"] == error["content"]
    assert error["metadata"]["retryable"] is True
    assert outcome_of(chunks) == "failed"
    usable(ide, stub)


def test_nobody_listens(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve(llm_proxy_url="http://127.0.0.1:9")
    assert error_of(ide.say("hi", agent_type="ask")) == "llm_unavailable"
    assert [m["role"] for m in ide.history()] == ["user"]


def test_a_retry_is_told_and_succeeds(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve(llm_max_retries=1)
    stub.script([{"status": 503, "headers": {"Retry-After": "0"}}, {"text": "Now."}])
    chunks = ide.say("hi", agent_type="ask")
    retried = [c["metadata"] for c in of_type(chunks, "status")]
    assert [(m["status"], m["attempt"], m["code"]) for m in retried] == [("retrying", 2, "llm_unavailable")]
    assert answer_of(chunks) == "Now."
