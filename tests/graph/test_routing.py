"""The router over real HTTP: what it remembers, and that nothing of it leaks between conversations."""

from __future__ import annotations

from tests.graph.conftest import Serve
from tests.ide import Ide, final_kinds, of_type, only
from tests.openai_stub import OpenAIStub


def test_an_equal_request_of_a_new_session_is_not_classified_again(serve: Serve, stub: OpenAIStub) -> None:
    client = serve()
    stub.classify = {"is_atomic": True, "agent": "explain", "confidence": "high", "reason": "a question"}
    stub.script([{"text": "one"}, {"text": "two"}, {"text": "three"}])
    for _ in range(2):
        switched = only(Ide.opened(client).say("What is a closure?"), "agent_switched")
        assert switched["metadata"]["reason"] == "a question"
    assert stub.classifier_calls == 1
    Ide.opened(client).say("What is a thunk?")
    assert stub.classifier_calls == 2


def test_a_failed_classification_is_tried_again(serve: Serve, stub: OpenAIStub) -> None:
    client = serve()
    stub.classify = {"reply": {"text": "no idea"}}
    stub.script([{"text": "one"}, {"text": "two"}])
    for _ in range(2):
        assert final_kinds(Ide.opened(client).say("What is a closure?")) == [
            "agent_switched",
            "assistant_message",
            "done",
        ]
    assert stub.classifier_calls == 2


def test_a_whole_application_becomes_a_plan_while_the_classifier_is_down(serve: Serve, stub: OpenAIStub) -> None:
    ide = Ide.opened(serve(llm_max_retries=0))
    stub.classify = {"reply": {"status": 500}}
    steps = [{"title": t, "description": t, "agent": "coder", "estimated_time_minutes": 5} for t in ("form", "store")]
    plan = {"title": "Login", "description": "Login and registration", "subtasks": steps}
    stub.script([{"text": "I would begin with a form."}, {"tool": "create_plan", "args": plan, "id": "p1"}])
    chunks = ide.say("create an application with login and registration")
    switched = only(chunks, "agent_switched")["metadata"]
    assert (switched["to_agent"], switched["classification_method"]) == ("architect", "keywords")
    assert stub.last_agent_request["tool_choice"] == "required"
    assert only(chunks, "plan_created")["metadata"]["plan_summary"]["subtasks_count"] == 2


def test_a_short_request_is_routed_by_what_was_said_before(serve: Serve, stub: OpenAIStub) -> None:
    ide = Ide.opened(serve(llm_max_retries=0))
    stub.classify = {"reply": {"status": 500}}
    cause = {"tool": "attempt_completion", "args": {"result": "cart.py:7 divides by zero."}, "id": "a1"}
    stub.script([cause, {"text": "Fixed."}, {"text": "It divides."}])
    assert only(ide.say("The cart crashes when it is empty."), "agent_switched")["metadata"]["to_agent"] == "debug"
    chunks = ide.say("fix it", agent_type="orchestrator")
    assert only(chunks, "agent_switched")["metadata"]["to_agent"] == "coder"
    sent = [
        r["body"]["messages"][-1]["content"] for r in stub.requests if "cart.py:7" in str(r["body"]["messages"][-1])
    ]
    assert any("Assistant: cart.py:7 divides by zero." in text for text in sent), "the classifier reads completions"
    assert of_type(ide.say("обьясни", agent_type="orchestrator"), "agent_switched")[0]["metadata"]["to_agent"] == "ask"
