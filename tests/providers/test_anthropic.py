"""Anthropic's models behind a proxy that speaks OpenAI's language (LiteLLM's translation and its errors)."""

from __future__ import annotations

import re

import pytest

from tests.providers.conversation import CONVERSATIONS, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Style, calls_of, paired_results, strict_turns


def error(message: str) -> Refusal:
    said = f"litellm.BadRequestError: AnthropicException - {message}"
    return 400, {"error": {"message": said, "type": None, "param": None, "code": "400"}}


def filled_texts(body: Json) -> Refusal | None:
    for index, message in enumerate(body["messages"]):
        if message.get("content") == "" or (not message.get("content") and not message.get("tool_calls")):
            return error(f"messages.{index}: text content blocks must be non-empty")
    return None


def plain_ids(body: Json) -> Refusal | None:
    if all(re.fullmatch(r"[a-zA-Z0-9_-]+", call["id"]) for call in calls_of(body)):
        return None
    return error("messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")


def ends_with_user(body: Json) -> Refusal | None:
    said = "This model does not support assistant message prefill. The conversation must end with a user message."
    return None if body["messages"][-1]["role"] in ("user", "tool") else error(said)


def thoughts_first(body: Json) -> Refusal | None:
    lacking = any(m.get("tool_calls") and not m.get("thinking_blocks") for m in body["messages"])
    said = (
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` "
        "is enabled, a final `assistant` message must start with a thinking block"
    )
    return error(said) if lacking else None


ALTERNATE = strict_turns(error('messages: roles must alternate between "user" and "assistant"'))
RULES = [filled_texts, plain_ids, ends_with_user, ALTERNATE, paired_results]
STYLE = Style(call_id=lambda n: f"toolu_{n:018d}", finish="tool_calls")
THINKING = Style(
    call_id=lambda n: f"toolu_{n:018d}",
    message_extras={
        "thinking_blocks": [{"type": "thinking", "thinking": "The user wants…", "signature": "EqQB"}],
        "reasoning_content": "The user wants…",
    },
)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_conversations(conversation: str) -> None:
    await usable(Provider(RULES, STYLE), conversation, model="claude-sonnet-4-5")


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_thinking_blocks_are_returned(conversation: str) -> None:
    await usable(Provider([*RULES, thoughts_first], THINKING), conversation, model="claude-opus-4-5")


async def test_ids_with_other_characters_of_a_model_before() -> None:
    await usable(Provider(RULES, Style(call_id=lambda n: f"functions.read_file:{n}")), "reads and answers")


async def test_no_thinking_is_sent_where_it_is_not_understood() -> None:
    def no_thinking(body: Json) -> Refusal | None:
        has = any("thinking_blocks" in m for m in body["messages"])
        return error("messages.1.thinking_blocks: Extra inputs are not permitted") if has else None

    models = await usable(Provider([*RULES, no_thinking], THINKING), "reads and answers")
    assert models.counts["change", "beside:thinking_blocks"] == 1


async def test_the_reason_of_an_overload_is_told() -> None:
    body = {"error": {"message": "litellm.InternalServerError: AnthropicException - Overloaded", "code": "529"}}
    played = await fails_once(Provider(RULES, STYLE), {"status": 529, "body": body}, "Overloaded")
    assert "Exception" not in played[1].failures[0]
