"""The orchestrator at work: the model classifies, keywords stand in, the choice sticks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.ide import Ide, of_type
from tests.openai_stub import OpenAIStub

Serve = Callable[..., Ide]
DEBUG = {"is_atomic": True, "agent": "debug", "confidence": "medium", "reason": "a crash"}


def switch_of(ide: Ide, stub: OpenAIStub, content: str) -> dict[str, Any]:
    stub.script([{"text": "ok"}])
    metadata: dict[str, Any] = of_type(ide.say(content), "agent_switched")[0]["metadata"]
    return metadata


@pytest.mark.parametrize(
    "reply",
    [
        json.dumps(DEBUG),
        f"```json\n{json.dumps(DEBUG)}\n```",
        f"Here you are: {json.dumps(DEBUG)} I hope it helps.",
        json.dumps({"agent": "debug", "confidence": "medium", "reasoning": "a crash"}),
    ],
    ids=["raw", "fenced", "in prose", "other labels"],
)
def test_the_model_classifies(serve: Serve, stub: OpenAIStub, reply: str) -> None:
    ide = serve()
    stub.classify = {"reply": {"text": reply}}
    told = switch_of(ide, stub, "Write a file")
    assert (told["to_agent"], told["classification_method"]) == ("debug", "llm")
    request = next(r["body"] for r in stub.requests if r["is_classifier"])
    assert request["temperature"] == 0.3
    assert "tools" not in request


@pytest.mark.parametrize(
    ("content", "agent"),
    [
        ("Write a function that adds two numbers", "coder"),
        ("What is a closure?", "ask"),
        ("Создай приложение с логином", "architect"),
        ("Почему падает тест? Исправь ошибку", "debug"),
    ],
)
@pytest.mark.parametrize(
    "reply",
    [{"status": 500}, {"text": "I think it is sunny."}, {"text": '{"is_atomic": false, "agent": "code"}'}],
    ids=["failed", "nonsense", "contradiction"],
)
def test_keywords_stand_in(serve: Serve, stub: OpenAIStub, reply: dict[str, Any], content: str, agent: str) -> None:
    ide = serve()
    stub.classify = {"reply": reply}
    told = switch_of(ide, stub, content)
    assert (told["classification_method"], told["confidence"]) == ("keywords", "low")
    assert told["to_agent"] == agent


def test_the_choice_sticks(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"text": "one"}, {"text": "two"}])
    ide.say("Write a file")
    assert of_type(ide.say("What is a closure?"), "agent_switched") == []
    assert stub.classifier_calls == 1


def test_single_agent_mode_asks_no_classifier(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve(multi_agent_mode=False)
    told = switch_of(ide, stub, "Write a file")
    assert told == {
        "from_agent": "orchestrator",
        "to_agent": "universal",
        "reason": "Single-agent mode: only Universal agent available",
        "confidence": "high",
        "classification_method": "single",
    }
    assert stub.classifier_calls == 0
    offered = {tool["function"]["name"] for tool in stub.last_agent_request["tools"]}
    assert not {"create_plan", "switch_mode"} & offered
    assert [agent["type"] for agent in ide.client.get("/agents").json()["agents"]] == ["orchestrator", "universal"]
