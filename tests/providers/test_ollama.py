"""Ollama: models without tools, contents that may not be null, calls without ids."""

from __future__ import annotations

import json

import pytest

from tests.providers.conversation import CONVERSATIONS, converse, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Style, calls_of


def error(message: str, status: int = 400) -> Refusal:
    return status, {"error": {"message": message, "type": "api_error", "param": None, "code": None}}


def no_null(body: Json) -> Refusal | None:
    null = any(message.get("content") is None for message in body["messages"])
    return error("invalid message content type: <nil>") if null else None


def no_tools(body: Json) -> Refusal | None:
    wrong = "tools" in body or calls_of(body)
    return error("registry.ollama.ai/library/gemma3:4b does not support tools") if wrong else None


def in_text(name: str, arguments: Json) -> str:
    return json.dumps({"name": name, "parameters": arguments})


def in_code(name: str, arguments: Json) -> str:
    parts = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return f"```tool_code\n{name}({parts})\n```"


STYLE = Style(call_id=lambda n: f"call_{n:08d}", finish="stop", with_index=False)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_conversations(conversation: str) -> None:
    await usable(Provider([no_null], STYLE), conversation, model="qwen2.5-coder:7b")


@pytest.mark.parametrize("written", [in_text, in_code])
@pytest.mark.parametrize("conversation", ["reads and answers", "completes by a call", "asks and writes"])
async def test_models_without_tools(written: object, conversation: str) -> None:
    models = await usable(Provider([no_tools], Style(as_text=written)), conversation)  # type: ignore[arg-type]
    assert models.counts["change", "no_tools"] == 1


async def test_calls_without_ids() -> None:
    await usable(Provider([], Style(call_id=lambda _: "", with_index=False)), "calls two at once")


async def test_a_model_that_is_not_there_ends_with_the_reason() -> None:
    body = error('model "qwen9" not found, try pulling it first')[1]
    await fails_once(Provider([]), {"status": 404, "body": body}, "try pulling it first")


async def test_a_server_that_reads_only_a_part_of_the_conversation_is_told() -> None:
    text = {"choices": [{"index": 0, "delta": {"content": "Hi."}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 512, "completion_tokens": 2, "total_tokens": 514}}
    raw = "".join(f"data: {json.dumps(event)}\n\n" for event in (text, usage)) + "data: [DONE]\n\n"
    with Provider() as provider:
        played, _ = await converse(provider, [[{"bytes": raw}]], request="x = 1\n" * 2_000)
    assert played[0].texts == ["Hi."]
    assert played[0].cut_to == [512]
