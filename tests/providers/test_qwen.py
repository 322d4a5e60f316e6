"""Qwen: thoughts, text calls of several kinds, arguments of wrong types."""

from __future__ import annotations

import json

import pytest

from tests.providers.conversation import CONVERSATIONS, READ, converse, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Style, openai_error, paired_results


def only_streams(body: Json) -> Refusal | None:
    return (
        None
        if body.get("stream")
        else openai_error("This model only support stream mode, please enable the stream parameter.")
    )


def no_json_while_thinking(body: Json) -> Refusal | None:
    refused = "response_format" in body
    return openai_error("Json mode response is not supported when enable_thinking is true") if refused else None


def hermes(name: str, arguments: Json) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def coder(name: str, arguments: Json) -> str:
    parts = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{parts}</function>\n</tool_call>"


def fenced(name: str, arguments: Json) -> str:
    return f"```json\n{json.dumps({'name': name, 'arguments': arguments})}\n```"


RULES = [only_streams, no_json_while_thinking, paired_results]


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_conversations(conversation: str) -> None:
    style = Style(message_extras={"reasoning_content": "Okay."}, call_id=lambda n: f"call_{n:024x}")
    await usable(Provider(RULES, style), conversation, model="qwen3-max")


@pytest.mark.parametrize("written", [hermes, coder, fenced])
@pytest.mark.parametrize("conversation", ["reads and answers", "completes by a call", "calls two at once"])
async def test_calls_in_the_text(written: object, conversation: str) -> None:
    models = await usable(Provider(RULES, Style(as_text=written)), conversation)  # type: ignore[arg-type]
    assert models.counts["repair", "text_call"] >= 2


async def test_thoughts_before_a_call_in_the_text() -> None:
    await usable(Provider(RULES, Style(as_text=hermes, before_text="<think>\nHm.\n</think>\n")), "reads and answers")


TWICE = Style(arguments=lambda arguments: json.dumps(json.dumps(arguments)))
AS_OBJECT = Style(arguments=lambda arguments: arguments)
WITH_NULL = Style(arguments=lambda arguments: json.dumps({**arguments, "encoding": None}))


@pytest.mark.parametrize("style", [TWICE, AS_OBJECT, WITH_NULL], ids=["twice encoded", "object", "null"])
async def test_arguments_in_another_form(style: Style) -> None:
    with Provider(RULES, style) as provider:
        played, _ = await converse(provider, [[READ, {"text": "a"}], [READ, {"text": "b"}], [{"text": "c"}]])
    assert [turn.is_usable for turn in played] == [True] * 3
    assert [turn.calls for turn in played] == [["read_file"], ["read_file"], []]


async def test_the_reason_of_a_refusal_is_told() -> None:
    body = {"error": {"message": "Input data may contain inappropriate content.", "code": "data_inspection_failed"}}
    await fails_once(Provider(RULES), {"status": 400, "body": body}, "inappropriate content")
