"""A model that describes instead of calling is asked once more; then its text counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.graph.conftest import Serve, outcomes
from tests.ide import Ide, final_kinds, only, shown
from tests.openai_stub import OpenAIStub

ANNOUNCED = "I will now create lib/a.dart."
WRITE = {"tool": "write_file", "args": {"path": "lib/a.dart", "content": "x"}, "id": "call_1"}
TASK = {"title": "Form", "description": "Create lib/login.dart", "agent": "coder", "estimated_time_minutes": 5}
PLAN = {"title": "Login", "description": "A login form", "subtasks": [TASK]}
COMPLEX = {"is_atomic": False, "agent": "plan", "confidence": "high", "reason": "complex"}


def test_an_announced_call_is_made(serve: Serve, stub: OpenAIStub, tmp_path: Path) -> None:
    stub.script([{"text": ANNOUNCED}, WRITE, {"text": "Created it."}])
    ide = Ide.opened(serve())
    chunks = ide.say("create lib/a.dart", agent_type="coder")
    assert final_kinds(chunks) == ["assistant_message", "tool_call", "done"]
    assert shown(chunks) == ANNOUNCED
    assert only(chunks, "assistant_message")["metadata"] == {"before_tool_call": True}
    asked_again = stub.last_agent_request
    assert asked_again["tool_choice"] == "required"
    assert [m["role"] for m in asked_again["messages"]] == ["system", "user", "assistant", "user"]
    assert only(ide.result("call_1", {"success": True}), "assistant_message")["content"] == "Created it."
    assert [m["role"] for m in ide.history()] == ["user", "assistant", "tool", "assistant"]
    assert outcomes(tmp_path / "test.db") == ["reprompted", "ok", "ok"]
    assert not stub.violations


def test_a_call_in_an_unknown_markup_is_not_held_before_the_model_again(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([{"text": "<tool_response>\nError: no such file\n</tool_response>"}, WRITE])
    assert "tool_call" in final_kinds(Ide.opened(serve()).say("create lib/a.dart", agent_type="coder"))
    again = stub.last_agent_request["messages"]
    assert [m["role"] for m in again] == ["system", "user"]
    assert "No tool was called" in again[-1]["content"]


def test_version_1_sees_the_call_alone(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([{"text": ANNOUNCED}, WRITE])
    assert final_kinds(Ide.opened(serve(), version=1).say("create lib/a.dart", agent_type="coder")) == ["tool_call"]


@pytest.mark.parametrize(
    "second", [{"text": "I will create it now."}, {"status": 500}, {"raw": {"choices": []}}, {"text": "   "}]
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_text_again_makes_the_first_one_the_implicit_completion(
    serve: Serve, stub: OpenAIStub, tmp_path: Path, second: dict[str, object], version: int
) -> None:
    stub.script([{"text": ANNOUNCED}, second, {"text": "next"}])
    ide = Ide.opened(serve(), version=version)
    chunks = ide.say("create lib/a.dart", agent_type="coder")
    answer = only(chunks, "assistant_message")
    assert answer["content"] == ANNOUNCED
    assert answer["metadata"] == {"implicit": True}
    if version == 2:
        assert shown(chunks) == ANNOUNCED
        assert only(chunks, "done")["metadata"]["outcome"] == "completed"
    assert only(ide.say("and now?"), "assistant_message")["content"] == "next"
    assert [m["content"] for m in ide.history()] == ["create lib/a.dart", ANNOUNCED, "and now?", "next"]
    assert outcomes(tmp_path / "test.db")[0] == "reprompted"
    assert outcomes(tmp_path / "test.db")[1] in ("implicit", "failed")


def test_a_plan_that_is_not_called_is_reprompted(serve: Serve, stub: OpenAIStub, tmp_path: Path) -> None:
    stub.classify = COMPLEX
    stub.script([{"text": "First the backend, then the form."}, {"tool": "create_plan", "args": PLAN, "id": "call_p"}])
    chunks = Ide.opened(serve()).say("Create a login app")
    assert final_kinds(chunks) == [
        "agent_switched",
        "assistant_message",
        "plan_created",
        "plan_approval_required",
        "done",
    ]
    assert only(chunks, "plan_created")["metadata"]["plan_summary"]["title"] == "Login"
    assert outcomes(tmp_path / "test.db") == ["reprompted", "ok"]


def test_a_plan_written_twice_as_text_is_read(serve: Serve, stub: OpenAIStub) -> None:
    stub.classify = COMPLEX
    text = "Plan:\n1. [CODER] Create lib/auth.dart\n2. [ASK] Explain it"
    stub.script([{"text": text}, {"text": "As I said."}])
    chunks = Ide.opened(serve()).say("Create a login app")
    summary = only(chunks, "plan_created")["metadata"]["plan_summary"]
    assert [(s["description"], s["agent"]) for s in summary["subtasks"]] == [
        ("Create lib/auth.dart", "coder"),
        ("Explain it", "ask"),
    ]
    assert shown(chunks) == text


def test_a_plan_in_json_is_taken_at_once_and_not_shown_as_text(serve: Serve, stub: OpenAIStub, tmp_path: Path) -> None:
    import json

    stub.classify = COMPLEX
    stub.script([{"text": f"```json\n{json.dumps(PLAN)}\n```"}])
    ide = Ide.opened(serve())
    chunks = ide.say("Create a login app")
    assert final_kinds(chunks) == ["agent_switched", "plan_created", "plan_approval_required", "done"]
    assert outcomes(tmp_path / "test.db") == ["implicit"]
    assert ide.status() == "awaiting_plan"


def test_an_architect_that_confirms_its_text_has_answered(serve: Serve, stub: OpenAIStub) -> None:
    stub.classify = COMPLEX
    text = "One screen is enough here, no plan needed."
    stub.script([{"text": text}, {"tool": "attempt_completion", "args": {"result": text}, "id": "call_c"}])
    chunks = Ide.opened(serve()).say("Create a login app")
    assert final_kinds(chunks) == ["agent_switched", "assistant_message", "done"]
    assert shown(chunks) == text
    assert only(chunks, "assistant_message")["metadata"] is None


def test_an_architect_may_ask_or_answer_without_being_asked_again(serve: Serve, stub: OpenAIStub) -> None:
    client = serve()
    stub.classify = COMPLEX
    stub.script([{"text": "Which platform should it run on?"}])
    assert final_kinds(Ide.opened(client).say("Create a login app")) == ["agent_switched", "assistant_message", "done"]
    stub.script([{"text": "Use Riverpod."}])
    assert final_kinds(Ide.opened(client).say("Create a login app", agent_type="architect")) == [
        "assistant_message",
        "done",
    ]
    stub.classify = {**COMPLEX, "is_atomic": True}
    stub.script([{"text": "Use Riverpod."}])
    assert final_kinds(Ide.opened(client).say("Which state management?")) == [
        "agent_switched",
        "assistant_message",
        "done",
    ]
    assert stub.left == 0


def test_a_subtask_that_only_announces_is_reprompted(serve: Serve, stub: OpenAIStub) -> None:
    stub.classify = COMPLEX
    stub.script(
        [{"tool": "create_plan", "args": PLAN, "id": "call_p"}, {"text": ANNOUNCED}, WRITE, {"text": "wrote it"}]
    )
    ide = Ide.opened(serve())
    chunks = ide.approve_plan(ide.say("Create a login app"))
    assert final_kinds(chunks) == ["status", "status", "assistant_message", "tool_call", "done"]
    finished = ide.result("call_1", {"success": True})
    assert final_kinds(finished) == ["assistant_message", "subtask_completed", "execution_completed", "done"]


def test_reprompting_is_counted_per_agent_and_model(serve: Serve, stub: OpenAIStub) -> None:
    client = serve()
    stub.script([{"text": ANNOUNCED}, {"text": ANNOUNCED}])
    Ide.opened(client).say("create lib/a.dart", agent_type="coder")
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("agent_runtime_llm_calls{")]
    for outcome in ("reprompted", "implicit"):
        labels = f'agent="coder",model="scripted",purpose="agent",outcome="{outcome}"'
        assert f"agent_runtime_llm_calls{{{labels}}} 1" in lines


def test_the_last_call_of_the_budget_is_not_spent_on_reprompting(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([{"text": ANNOUNCED}])
    chunks = Ide.opened(serve(max_model_calls_per_turn=1)).say("create lib/a.dart", agent_type="coder")
    assert only(chunks, "assistant_message")["metadata"] == {"implicit": True}
    assert stub.agent_calls == 1
