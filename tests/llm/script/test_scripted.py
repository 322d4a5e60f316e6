"""llm/scripted.py: the chat model itself, its scripts, and the rule of the history."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from errors import ModelBadReply, ModelTimeout, ModelUnavailable
from llm.chat_model import Endpoint, Models
from llm.script.history import HistoryBroken
from llm.scripted import ScriptedModel
from prompts.render import classifier_prompt
from routing.keywords import best_agent
from tools.catalog import TOOLS

CALL = {"name": "read_file", "args": {"path": "a"}, "type": "tool_call"}


def calling(*ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[{**CALL, "id": call_id} for call_id in ids])


def script(*replies: dict[str, Any], before: str = "") -> HumanMessage:
    return HumanMessage(f"{before}\n#script\n{json.dumps(list(replies), ensure_ascii=False)}")


async def test_words_are_streamed_and_blanks_are_kept() -> None:
    text = "  one\n\n two\tthree \n"
    chunks = [chunk async for chunk in ScriptedModel().astream([script({"text": text})])]
    pieces = [str(chunk.text) for chunk in chunks if chunk.text]
    assert "".join(pieces) == text
    assert len(pieces) == 4
    assert sum(bool(chunk.usage_metadata) for chunk in chunks) == 1


async def test_arguments_are_streamed_in_pieces() -> None:
    arguments = {"path": "a.py", "content": "x" * 500}
    model = ScriptedModel().bind(tools=[tool.declaration for tool in TOOLS])
    messages = [script({"tool": "write_file", "args": arguments, "id": "c"})]
    chunks = [chunk async for chunk in model.astream(messages)]
    parts = [part for chunk in chunks for part in getattr(chunk, "tool_call_chunks", [])]
    assert len(parts) > 5
    assert json.loads("".join(part["args"] for part in parts)) == arguments


async def test_a_reply_asked_as_a_whole_is_the_one_that_streams() -> None:
    messages = [script({"text": "Look:", "tool": "read_file", "args": {"path": "a"}, "id": "c"})]
    model = ScriptedModel()
    message = await model.ainvoke(messages)
    assert message.text == "Look:"
    assert [(call["id"], call["args"]) for call in message.tool_calls] == [("c", {"path": "a"})]
    assert message.usage_metadata is not None
    assert message.usage_metadata["total_tokens"] > 0
    assert message.response_metadata["finish_reason"] == "tool_calls"
    assert "".join([str(chunk.text) async for chunk in model.astream(messages)]) == "Look:"


async def test_the_same_conversation_gives_the_same_reply() -> None:
    messages = [HumanMessage("read a.py")]
    replies = [await Models().reply(messages, tools=TOOLS) for _ in range(2)]
    assert replies[0].calls == replies[1].calls
    assert 0 < len(replies[0].calls[0].id) <= 64


# scripts


async def test_a_script_is_played_in_order() -> None:
    messages: list[BaseMessage] = [
        script({"tool": "read_file", "args": {"path": "a"}, "id": "c1"}, {"text": "both"}, before="Let us try.")
    ]
    models = Models()
    assert (await models.reply(messages, tools=TOOLS)).calls[0].id == "c1"
    messages += [calling("c1"), ToolMessage("x", tool_call_id="c1")]
    assert (await models.reply(messages, tools=TOOLS)).text == "both"
    messages += [AIMessage("both")]
    assert "no more replies" in (await models.reply(messages, tools=TOOLS)).text


async def test_a_script_goes_on_after_the_answer_to_its_question() -> None:
    question = {"question": "Which?", "suggestions": ["a", "b"]}
    messages: list[BaseMessage] = [
        script({"tool": "ask_followup_question", "args": question, "id": "q"}, {"text": "thanks"})
    ]
    call = {"name": "ask_followup_question", "args": question, "id": "q", "type": "tool_call"}
    messages += [AIMessage("", tool_calls=[call]), ToolMessage("{}", tool_call_id="q"), HumanMessage("a")]
    assert (await Models().reply(messages, tools=TOOLS)).text == "thanks"


async def test_a_script_can_do_all_that_real_models_do() -> None:
    models = Models(max_retries=0)
    two = {"tools": [{"tool": "read_file", "args": {"path": "a"}}, {"tool": "read_file", "args": {"path": "b"}}]}
    reply = await models.reply([script(two)], tools=TOOLS)
    assert len({call.id for call in reply.calls}) == 2
    broken = await models.reply([script({"tool": "read_file", "args": "{bad"})], tools=TOOLS)
    assert broken.calls[0].problem
    assert (await models.reply([script({"repeat": "ha ", "times": 500})])).text == "ha " * 500
    fenced = '```json\n{"name": "read_file", "arguments": {"path": "a"}}\n```'
    assert (await models.reply([script({"text": fenced})], tools=TOOLS)).calls_were_text
    cut = await models.reply([script({"tool": "read_file", "args": {}, "finish": "length"})], tools=TOOLS)
    assert (cut.calls, len(cut.cut_calls)) == ((), 1)
    with pytest.raises(ModelBadReply):
        await models.reply([script({"text": ""})])


@pytest.mark.parametrize(
    ("code", "error"),
    [("llm_unavailable", ModelUnavailable), ("llm_timeout", ModelTimeout), ("llm_bad_reply", ModelBadReply)],
)
async def test_a_script_can_fail(code: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await Models(max_retries=0).reply([script({"fail": code})])


async def test_a_script_can_be_slow() -> None:
    models = Models(endpoint=Endpoint(timeout_s=0.1), max_retries=0)
    with pytest.raises(ModelTimeout):
        await models.reply([script({"sleep": 5, "text": "late"})])
    with pytest.raises(ModelTimeout):
        await models.reply([script({"repeat": "w ", "times": 50, "delay": 0.1})])


async def test_words_that_come_by_the_clock_wait_for_a_late_reader() -> None:
    pieces = ScriptedModel().pieces([script({"repeat": "w ", "times": 3, "every": 0.01})])
    assert await anext(pieces) == "w"
    time.sleep(0.05)  # noqa: ASYNC251 the reader is late: the loop does nothing else
    with pytest.raises(StopIteration) as second:
        anext(pieces).__await__().send(None)
    assert second.value.value == " w"


@pytest.mark.parametrize("text", ["#script\n[broken", "#script\n[1]", '#script\n{"text": "a"}', "#script"])
async def test_a_broken_script_is_explained(text: str) -> None:
    assert "#script is not a JSON list" in (await Models().reply([HumanMessage(text)])).text


# the history


@pytest.mark.parametrize(
    "messages",
    [
        [HumanMessage("x"), calling("c1")],
        [HumanMessage("x"), calling("c1"), AIMessage("y")],
        [HumanMessage("x"), calling("c1"), HumanMessage("y")],
        [HumanMessage("x"), calling("c1", "c2"), ToolMessage("a", tool_call_id="c1"), HumanMessage("y")],
        [HumanMessage("x"), ToolMessage("a", tool_call_id="c1")],
        [ToolMessage("a", tool_call_id="c1"), HumanMessage("x")],
        [HumanMessage("x"), calling("c1"), ToolMessage("a", tool_call_id="c1"), ToolMessage("b", tool_call_id="c1")],
        [HumanMessage("x"), calling("c1"), HumanMessage("y"), ToolMessage("a", tool_call_id="c1")],
        [
            HumanMessage("x"),
            calling("c1", "c1"),
            ToolMessage("a", tool_call_id="c1"),
            ToolMessage("a", tool_call_id="c1"),
        ],
    ],
)
async def test_a_broken_history_is_refused_by_id(messages: list[BaseMessage]) -> None:
    with pytest.raises(HistoryBroken, match=r"c1|c2"):
        await Models().reply(messages)


async def test_a_whole_history_is_accepted() -> None:
    answers = [ToolMessage("b", tool_call_id="c2"), ToolMessage("a", tool_call_id="c1")]
    again = [calling("c1"), ToolMessage("a", tool_call_id="c1")]
    messages = [SystemMessage("s"), HumanMessage("x"), calling("c1", "c2"), *answers, *again, HumanMessage("hello")]
    assert (await Models().reply(messages)).text


# the classifier


async def classified(request: str) -> dict[str, Any]:
    prompt = classifier_prompt([("code", "writes"), ("plan", "plans")])
    reply = await Models().reply([SystemMessage(prompt.text), HumanMessage(request)], temperature=0.3, json_schema={})
    answer: dict[str, Any] = json.loads(reply.text)
    return answer


@pytest.mark.parametrize(
    "request_text",
    [
        "What is a closure?",
        "list files",
        "Create hello.py with `print(1)`",
        "There is an error in app.py",
        "Write an ADR about our state management",
        "Что такое замыкание?",
        "Почему падает тест?",
        "Замени `a` на `b` в x.py",
    ],
)
async def test_requests_are_classified_by_the_keywords_of_routing(request_text: str) -> None:
    for text in (
        request_text,
        f"Earlier in this conversation:\nUser: plan it\n\nThe request to classify:\n{request_text}",
    ):
        answer = await classified(text)
        assert answer["agent"] == best_agent(request_text)
        assert answer["is_atomic"] is True
        assert answer["confidence"] in {"high", "medium", "low"}
        assert answer["reason"]


@pytest.mark.parametrize(
    ("request_text", "agent", "is_atomic"),
    [
        ("Read a.py, then create NOTES.md with `x`, then run `ls`", "coder", True),
        ("Прочитай a.py, потом создай NOTES.md с текстом `x`, потом запусти `ls`", "coder", True),
        ("read a.py, then list files", "ask", True),
        ("Plan the migration", "architect", False),
        ("Create a login app with form, validation and backend", "architect", False),
        ("Разработай мобильное приложение с регистрацией", "architect", False),
    ],
)
async def test_chains_and_plans_are_classified_as_a_whole(request_text: str, agent: str, is_atomic: bool) -> None:
    answer = await classified(request_text)
    assert (answer["agent"], answer["is_atomic"]) == (agent, is_atomic)
