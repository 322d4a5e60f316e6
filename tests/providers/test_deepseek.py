"""DeepSeek: thoughts that must come back, or must not, and its own tokens in the text."""

from __future__ import annotations

import json

import pytest

from tests.providers.conversation import CONVERSATIONS, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Style, openai_error, paired_results, strict_turns


def wants_reasoning(body: Json) -> Refusal | None:
    for index, message in enumerate(body["messages"]):
        if message.get("tool_calls") and "reasoning_content" not in message:
            return openai_error(f"Missing `reasoning_content` field in the assistant message at message index {index}")
    return None


def wants_no_reasoning(body: Json) -> Refusal | None:
    has = any("reasoning_content" in message for message in body["messages"])
    return (
        openai_error(
            "The reasoning_content is an intermediate result for display purposes only and will not be "
            "included in the context for inference. Please remove the reasoning_content."
        )
        if has
        else None
    )


def no_tools(body: Json) -> Refusal | None:
    return openai_error("deepseek-reasoner does not support Function Calling") if "tools" in body else None


LAST = strict_turns(openai_error("deepseek-reasoner does not support successive user or assistant messages"))
THINKING = Style(message_extras={"reasoning_content": "We need to read it."})


def in_tokens(name: str, arguments: Json) -> str:
    return (
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{json.dumps(arguments)}\n```"
        "<｜tool▁call▁end｜>"
    )


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_thoughts_are_returned(conversation: str) -> None:
    models = await usable(Provider([wants_reasoning, paired_results], THINKING), conversation, model="deepseek-v3.2")
    assert not models.counts["change", "empty_reasoning"]


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_thoughts_that_are_refused_are_left_out(conversation: str) -> None:
    await usable(Provider([wants_no_reasoning, LAST], THINKING), conversation, model="deepseek-reasoner")


async def test_messages_of_another_model_get_empty_thoughts() -> None:
    await usable(Provider([wants_reasoning]), "reads and answers")


@pytest.mark.parametrize("conversation", ["reads and answers", "completes by a call"])
async def test_its_tokens_in_the_text_are_calls(conversation: str) -> None:
    await usable(Provider([], Style(as_text=in_tokens)), conversation)


@pytest.mark.parametrize("conversation", ["reads and answers", "completes by a call"])
async def test_without_a_tool_interface_the_text_form_is_used(conversation: str) -> None:
    provider = Provider([no_tools, LAST], Style(as_text=in_tokens))
    models = await usable(provider, conversation)
    assert models.counts["change", "no_tools"] == 1
    assert "# Tools" in provider.last_agent_request["messages"][0]["content"]


async def test_thoughts_in_the_text_are_no_answer() -> None:
    provider = Provider([], Style(before_text="<think>\nI should read it.\n</think>\n\n"))
    await usable(provider, "reads and answers")
    assert "I should read it" not in json.dumps(provider.last_agent_request)


async def test_the_reason_of_a_refusal_is_told() -> None:
    body = {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}
    await fails_once(Provider([]), {"status": 402, "body": body}, "Insufficient Balance")
