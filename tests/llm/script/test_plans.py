"""The plans of the scripted model: subtasks that it can do, made again with feedback, or not carried out."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from llm.chat_model import Models
from tests.llm.script.conversation import Conversation, tools_of


@pytest.mark.parametrize(
    "text",
    [
        "Plan a web shop",
        "Create a login app with form, validation and backend",
        "Разработай приложение с регистрацией и оплатой",
        "Plan: create a.py with `print(1)`, then run it, then explain a.py",
    ],
)
async def test_a_plan_is_made_whose_subtasks_the_model_can_do(chat: Conversation, tmp_path: Path, text: str) -> None:
    chat.agent = "architect"
    await chat.send(text)
    assert chat.tools() == ["create_plan"]
    for task in chat.made[0][1]["subtasks"]:
        worker = Conversation(tmp_path, task["agent"])
        answer = await worker.send(task["description"])
        assert worker.made
        assert "Not done" not in answer
        assert "Не сделано" not in answer


async def test_a_plan_of_steps_has_these_steps(chat: Conversation) -> None:
    await chat.send("Plan: create a.py with `print(1)`, then run it")
    assert chat.tools() == ["switch_mode", "create_plan"]
    subtasks = chat.made[1][1]["subtasks"]
    assert [task["description"] for task in subtasks] == ["create a.py with `print(1)`", "run a.py"]


async def test_a_plan_is_made_again_with_the_users_feedback(chat: Conversation) -> None:
    chat.agent = "architect"
    answers = iter(['{"status": "modification_requested", "plan_id": "p", "feedback": "without backend"}'])
    chat.decide = lambda tool, _: next(answers, None) if tool == "create_plan" else None
    await chat.send("Create a login app with form, validation and backend")
    assert chat.tools() == ["create_plan", "create_plan"]
    assert "without backend" in chat.made[1][1]["subtasks"][0]["description"]


@pytest.mark.parametrize(
    ("status", "said"), [("rejected", "You rejected the plan"), ("expired", "no plan to carry out")]
)
async def test_a_plan_that_is_not_carried_out_is_told(status: str, said: str) -> None:
    decision = f'{{"status": "{status}", "plan_id": "p", "feedback": null}}'
    reply = await Models().reply([HumanMessage("Plan a web shop")], tools=tools_of("architect"))
    call = {"name": reply.calls[0].name, "args": reply.calls[0].arguments, "id": "p1", "type": "tool_call"}
    answered = ToolMessage(decision, tool_call_id="p1")
    messages = [HumanMessage("Plan a web shop"), AIMessage("", tool_calls=[call]), answered]
    assert said in (await Models().reply(messages, tools=tools_of("architect"))).text
