"""Long conversations over real HTTP: they are compacted, nothing that matters is lost, the history stays whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.graph.conftest import Serve, outcomes
from tests.ide import Ide, final_kinds, only
from tests.openai_stub import OpenAIStub

CODER = Path(__file__).parents[2] / "prompts" / "coder.md"
CONTEXT_TOKENS = 5550 + len(CODER.read_text(encoding="utf-8")) // 3
"""Fits about six results of 2,500 characters after the prompt of any length."""
TOO_LONG = {"error": {"message": "maximum context length exceeded", "code": "context_length_exceeded"}}


def read(number: int) -> dict[str, Any]:
    return {"tool": "read_file", "args": {"path": f"lib/{number}.dart"}, "id": f"call_{number}"}


def run(number: int) -> dict[str, Any]:
    return {"tool": "execute_command", "args": {"command": f"dart run {number}"}, "id": f"call_{number}"}


def sent(stub: OpenAIStub) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = stub.last_agent_request["messages"]
    return messages


def text_of(stub: OpenAIStub) -> str:
    return "\n".join(str(m.get("content")) for m in sent(stub))


def test_old_reads_are_cleared_inside_the_loop(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([*(read(n) for n in range(8)), {"text": "All read."}])
    ide = Ide.opened(serve(llm_context_tokens=CONTEXT_TOKENS))
    chunks = ide.say("read everything", agent_type="coder")
    for number in range(8):
        chunks = ide.result(f"call_{number}", f"<{number}>" + "x" * 2000)
    assert only(chunks, "assistant_message")["content"] == "All read."
    results = [m["content"] for m in sent(stub) if m["role"] == "tool"]
    assert len(results) == 8
    assert "was cleared to save space" in results[0]
    assert "<7>" in results[-1]
    assert sent(stub)[1]["content"] == "read everything"
    assert not stub.violations
    stored = [m["content"] for m in ide.history() if m["role"] == "tool"]
    assert [f"<{n}>" in content and len(content) > 2000 for n, content in enumerate(stored)] == [True] * 8


def test_what_cannot_be_fetched_again_is_summarised(serve: Serve, stub: OpenAIStub, tmp_path: Path) -> None:
    ide = Ide.opened(serve(llm_context_tokens=CONTEXT_TOKENS))
    stub.script([{"text": "A closure is a function with its variables."}])
    ide.say("what is a closure?", agent_type="coder")
    stub.script([*(run(n) for n in range(6)), {"text": "SUMMARY of it"}, run(6), {"text": "All ran."}])
    chunks = ide.say("run everything")
    for number in range(7):
        chunks = ide.result(f"call_{number}", f"<{number}>" + "y" * 2500)
    assert only(chunks, "assistant_message")["content"] == "All ran."
    assert outcomes(tmp_path / "test.db", "summary") == ["ok"]
    assert "SUMMARY of it" in text_of(stub)
    assert sent(stub)[1]["content"].startswith("what is a closure?\n")  # adjacent user messages are merged
    assert "run everything" in text_of(stub)
    assert "<6>" in text_of(stub)
    assert "<0>" not in text_of(stub)
    assert not stub.violations
    history = ide.history()
    assert [m["role"] for m in history] == ["user", "assistant", "user", *["assistant", "tool"] * 7, "assistant"]
    assert all("SUMMARY" not in m["content"] for m in history)


def test_a_server_that_finds_it_too_long_gets_less(serve: Serve, stub: OpenAIStub, tmp_path: Path) -> None:
    ide = Ide.opened(serve())
    stub.script([read(0), read(1), {"text": "Both read."}])
    ide.say("read both", agent_type="coder")
    ide.result("call_0", "a" * 9000)
    ide.result("call_1", "b" * 9000)
    stub.script([{"status": 400, "body": TOO_LONG}, {"text": "fine"}])
    chunks = ide.say("and now?")
    assert final_kinds(chunks) == ["assistant_message", "done"]
    assert only(chunks, "assistant_message")["content"] == "fine"
    assert "aaaa" not in text_of(stub)
    assert sent(stub)[-1]["content"] == "and now?"
    assert outcomes(tmp_path / "test.db")[-2:] == ["failed", "ok"]


def test_a_summary_that_fails_is_replaced_by_an_outline(serve: Serve, stub: OpenAIStub, tmp_path: Path) -> None:
    ide = Ide.opened(serve())
    stub.script([run(0), run(1), run(2), {"text": "Ran."}])
    ide.say("run them", agent_type="coder")
    for number in range(3):
        ide.result(f"call_{number}", "z" * 9000)
    stub.script([{"status": 400, "body": TOO_LONG}, {"status": 500}, {"text": "fine"}])
    assert only(ide.say("and now?"), "assistant_message")["content"] == "fine"
    assert 'Agent called execute_command {"command": "dart run 0"}' in text_of(stub)
    assert outcomes(tmp_path / "test.db", "summary") == ["failed"]


def test_thread_is_compacted_inside_a_subtask_without_losing_the_step(serve: Serve, stub: OpenAIStub) -> None:
    stub.classify = {"is_atomic": False, "agent": "plan", "confidence": "high", "reason": "complex"}
    task = {"title": "Read", "description": "Read all files", "agent": "coder", "estimated_time_minutes": 5}
    plan = {"title": "Look", "description": "Look at it", "subtasks": [task]}
    stub.script([{"tool": "create_plan", "args": plan}, *(read(n) for n in range(7)), {"text": "Read them."}])
    ide = Ide.opened(serve(llm_context_tokens=CONTEXT_TOKENS))
    chunks = ide.approve_plan(ide.say("Look at the whole app"))
    for number in range(7):
        chunks = ide.result(f"call_{number}", "x" * 2600)
    assert final_kinds(chunks) == ["assistant_message", "subtask_completed", "execution_completed", "done"]
    assert sent(stub)[1]["content"] == "Read all files"
    assert "was cleared to save space" in text_of(stub)
    assert "Goal of the whole plan: Look" in text_of(stub)
    assert not stub.violations


def test_a_cut_result_says_how_to_read_on(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([read(0), {"text": "Seen."}])
    ide = Ide.opened(serve(max_tool_result_chars=1000))
    ide.say("read it", agent_type="coder")
    ide.result("call_0", "x" * 5000)
    assert "4000 characters left out" in text_of(stub)
    assert "start_line and end_line" in text_of(stub)
