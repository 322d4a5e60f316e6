"""The router over real HTTP: what it remembers, and that nothing of it leaks between conversations."""

from __future__ import annotations

from tests.graph.conftest import Serve
from tests.ide import Ide, final_kinds, only
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
