"""A model that misbehaves as small real ones do: every run ends within its limits, and the session goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.graph.conftest import Serve
from tests.ide import Chunk, Ide, final_kinds, only
from tests.openai_stub import OpenAIStub

READ = {"tool": "read_file", "args": {"path": "lib/a.dart"}}
TOO_LONG = {
    "error": {"code": 400, "type": "exceed_context_size_error", "message": "exceeds the available context size"}
}


def play_ide(ide: Ide, chunks: list[Chunk], limit: int = 60) -> list[Chunk]:
    """Answer every call until the turn ends: the last body."""
    for _ in range(limit):
        calls = [c for c in chunks if c["type"] == "tool_call"]
        if not calls:
            return chunks
        for call in calls:
            chunks = ide.result(call["call_id"], {"success": True, "content": "x"})
    raise AssertionError(f"the turn did not end in {limit} rounds: {chunks}")


def ended_with(chunks: Iterable[Chunk], code: str) -> Chunk:
    found = [c for c in chunks if c["type"] == "error"]
    assert [c["metadata"]["code"] for c in found] == [code], list(chunks)
    assert found[0]["error"] == found[0]["content"]
    return found[0]


def is_usable(ide: Ide, stub: OpenAIStub) -> None:
    """The next message is answered, and nothing was left open."""
    assert ide.status() == "idle"
    stub.script([{"text": "fine now"}])
    assert only(ide.say("still there?"), "assistant_message")["content"] == "fine now"
    assert not stub.violations


def test_the_same_call_for_ever(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([READ] * 20)
    ide = Ide.opened(serve())
    error = ended_with(play_ide(ide, ide.say("read it", agent_type="coder")), "limit_reached")
    assert error["metadata"]["limit"] == "repeated_call"
    assert stub.agent_calls == 5
    is_usable(ide, stub)


def test_another_call_for_ever(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([{"tool": "read_file", "args": {"path": f"lib/{n}.dart"}} for n in range(40)])
    ide = Ide.opened(serve(max_model_calls_per_turn=8))
    error = ended_with(play_ide(ide, ide.say("read it", agent_type="coder")), "limit_reached")
    assert error["metadata"]["limit"] == "max_model_calls_per_turn"
    assert stub.agent_calls == 8
    is_usable(ide, stub)


def test_two_calls_in_turn_for_ever(serve: Serve, stub: OpenAIStub) -> None:
    listing = {"tool": "list_files", "args": {"path": "lib"}}
    stub.script([READ, listing] * 10)
    ide = Ide.opened(serve(), version=2)
    chunks = ide.say("read it", agent_type="coder")
    offered = 0
    while calls := [c for c in chunks if c["type"] == "tool_call"]:
        offered += len(calls)
        assert offered <= 20
        chunks = ide.result(calls[0]["call_id"], "nothing new")
    assert next(c for c in chunks if c["type"] == "error")["metadata"]["limit"] == "repeated_call"
    assert offered == 5, "from the sixth call on the model is told instead"
    is_usable(ide, stub)


def test_two_agents_that_hand_over_for_ever(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([{"tool": "switch_mode", "args": {"mode": mode}} for mode in ["coder", "ask"] * 6])
    ide = Ide.opened(serve())
    ended_with(ide.say("do it", agent_type="ask"), "limit_reached")
    is_usable(ide, stub)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param({**READ, "args": '{"path": "lib/a.da', "truncated": True}, id="truncated call"),
        pytest.param({"raw": {"choices": []}}, id="no choice"),
        pytest.param(
            {"raw": {"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}}, id="null content"
        ),
        pytest.param({"text": ""}, id="empty answer"),
        pytest.param({"text": " \n" * 6000, "finish": "length"}, id="blanks until the limit"),
        pytest.param({"tool": "", "args": {}}, id="call without a name"),
        pytest.param({"text": "half", "error": {"message": "overloaded", "code": 500}}, id="error in the stream"),
    ],
)
def test_an_unusable_reply_is_an_error_and_no_more(serve: Serve, stub: OpenAIStub, reply: dict[str, Any]) -> None:
    stub.script([reply])
    ide = Ide.opened(serve())
    chunks = ide.say("read it", agent_type="coder")
    error = next(c for c in chunks if c["type"] == "error")
    assert error["metadata"]["code"] in ("llm_bad_reply", "llm_unavailable")
    assert only(chunks, "done")["metadata"]["outcome"] == "failed"
    is_usable(ide, stub)


@pytest.mark.parametrize(
    "args", ['{"path": "lib/a.da', {"file": "lib/a.dart"}, {}, {"path": 5}, '["lib/a.dart"]', '{"path":"a","path":"b"}']
)
def test_unfit_arguments_three_times_end_the_turn(serve: Serve, stub: OpenAIStub, args: Any) -> None:
    stub.script([{"tool": "read_file", "args": args}] * 5)
    ide = Ide.opened(serve())
    chunks = ide.say("read it", agent_type="coder")
    ended_with(chunks, "llm_bad_reply")
    assert "tool_call" not in final_kinds(chunks)
    assert stub.agent_calls == 3
    is_usable(ide, stub)


@pytest.mark.parametrize("version", [1, 2])
def test_several_calls_with_placeholders(serve: Serve, stub: OpenAIStub, version: int) -> None:
    paths = ("lib/a.dart", "path/to/file", "your_file_here")
    calls = [{"tool": "read_file", "args": {"path": path}, "id": path} for path in paths]
    stub.script([{"tools": calls}, {"text": "done"}])
    ide = Ide.opened(serve(), version=version)
    chunks = ide.say("read it", agent_type="coder")
    assert len([c for c in chunks if c["type"] == "tool_call"]) == (3 if version == 2 else 1)
    assert "done" in only(play_ide(ide, chunks), "assistant_message")["content"]
    is_usable(ide, stub)


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"name": "read_file", "arguments": {"path": "lib/a.dart"}}\n```',
        'I will read it.\n```json\n{"name": "read_file", "arguments": {"path": "lib/a.dart"}}\n```',
        '<tool_call>\n{"name": "read_file", "arguments": {"path": "lib/a.dart"}}\n</tool_call>',
        '{"tool": "read_file", "args": {"path": "lib/a.dart"}}',
    ],
)
def test_a_call_written_as_text_is_made(serve: Serve, stub: OpenAIStub, text: str) -> None:
    stub.script([{"text": text}, {"text": "I read it."}])
    ide = Ide.opened(serve())
    call = only(ide.say("read it", agent_type="coder"), "tool_call")
    assert (call["tool_name"], call["arguments"]) == ("read_file", {"path": "lib/a.dart"})
    ide.result(call["call_id"], "x")
    is_usable(ide, stub)


@pytest.mark.parametrize("tool", ["browse_web", "create_plan", "orchestrate"])
def test_a_tool_that_is_not_there(serve: Serve, stub: OpenAIStub, tool: str) -> None:
    stub.script([{"tool": tool, "args": {"x": 1}}] * 5)
    ide = Ide.opened(serve())
    chunks = ide.say("look it up", agent_type="coder")
    error = ended_with(chunks, "tool_denied")
    assert error["content"] == f"Tool '{tool}' is not allowed for Coder agent"
    assert stub.agent_calls == 3
    is_usable(ide, stub)


def test_a_write_for_a_question_never_runs_unasked(serve: Serve, stub: OpenAIStub) -> None:
    write = {"tool": "write_file", "args": {"path": "lib/a.dart", "content": "gone"}, "id": "call_w"}
    client = serve()
    stub.script([write, {"text": "It is a file."}])
    asked = Ide.opened(client)
    chunks = asked.say("what is lib/a.dart?", agent_type="ask")
    assert final_kinds(chunks) == ["status", "assistant_message", "done"]
    assert chunks[0]["metadata"]["status"] == "denied"
    stub.script([write, {"text": "It is a file."}])
    coder = Ide.opened(client)
    call = only(coder.say("what is lib/a.dart?", agent_type="coder"), "tool_call")
    assert call["requires_approval"] is True
    chunks = coder.send({"type": "hitl_decision", "call_id": call["call_id"], "decision": "reject"})
    assert final_kinds(chunks) == ["status", "assistant_message", "done"]
    is_usable(coder, stub)


@pytest.mark.parametrize("path", ["/home/user/project/lib/a.dart", "/etc/passwd", "../../secrets.txt"])
def test_an_invented_path_is_refused_or_asked_about(serve: Serve, stub: OpenAIStub, path: str) -> None:
    stub.script([{"tool": "write_file", "args": {"path": path, "content": "x"}}] * 3 + [{"text": "sorry"}])
    ide = Ide.opened(serve())
    environment = {"os": "linux", "shell": "bash", "workspace_root": "/home/me/app"}
    chunks = ide.say("write it", agent_type="coder", environment=environment)
    ended_with(chunks, "file_denied")
    is_usable(ide, stub)


def test_a_conversation_too_long_for_the_model(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([{"status": 400, "body": TOO_LONG}] * 4)
    ide = Ide.opened(serve())
    error = ended_with(ide.say("hello", agent_type="coder"), "llm_bad_reply")
    assert "too long" in error["content"]
    assert error["metadata"]["retryable"] is False
    is_usable(ide, stub)


def test_seconds_before_the_first_token_and_the_same_word_for_ever(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([{"silent_s": 1, "text": "again " * 3000, "finish": "length"}])
    ide = Ide.opened(serve())
    assert only(ide.say("go", agent_type="coder"), "assistant_message")["content"].startswith("again again")
    is_usable(ide, stub)


def test_a_classifier_that_talks_nonsense(serve: Serve, stub: OpenAIStub) -> None:
    client = serve()
    for reply in ({"text": "Sure!"}, {"text": json.dumps({"agent": "cook"})}, {"status": 400}, {"text": ""}):
        stub.classify = {"reply": reply}
        stub.script([{"text": "An answer."}])
        chunks = Ide.opened(client).say("What is a closure?")
        assert chunks[0]["metadata"]["classification_method"] == "keywords"
        assert final_kinds(chunks) == ["agent_switched", "assistant_message", "done"]
