"""OpenRouter: providers without tools (404), comments while it works, errors of the provider inside its own."""

from __future__ import annotations

import json

import pytest

from tests.providers.conversation import CONVERSATIONS, READ, converse, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Style, paired_results


def error(code: int, message: str, **metadata: str) -> Refusal:
    return code, {"error": {"message": message, "code": code, "metadata": metadata}}


def no_tool_use(body: Json) -> Refusal | None:
    said = "No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs"
    return error(404, said) if "tools" in body else None


def no_choice(body: Json) -> Refusal | None:
    said = "No endpoints found that support the provided 'tool_choice' value."
    return error(404, said) if body.get("tool_choice") == "required" else None


DETAILS = Style(
    message_extras={
        "reasoning": "The user wants",
        "reasoning_details": [
            {"type": "reasoning.encrypted", "data": "gAAAA", "index": 0, "format": "openai-responses-v1"}
        ],
    }
)


def wants_details(body: Json) -> Refusal | None:
    lacking = any(m.get("tool_calls") and not m.get("reasoning_details") for m in body["messages"])
    return (
        error(400, "Provider returned error", raw='{"error":{"message":"reasoning item missing"}}') if lacking else None
    )


def in_text(name: str, arguments: Json) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_reasoning_details_are_returned(conversation: str) -> None:
    await usable(Provider([no_choice, wants_details, paired_results], DETAILS), conversation, model="openai/gpt-5")


@pytest.mark.parametrize("conversation", ["reads and answers", "completes by a call"])
async def test_models_without_tool_use(conversation: str) -> None:
    models = await usable(Provider([no_tool_use], Style(as_text=in_text)), conversation)
    assert models.counts["change", "no_tools"] == 1


async def test_comments_before_the_reply() -> None:
    event = {"choices": [{"index": 0, "delta": {"content": "Hello."}, "finish_reason": "stop"}]}
    raw = ": OPENROUTER PROCESSING\n\n" * 3 + f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n"
    with Provider() as provider:
        played, _ = await converse(provider, [[{"bytes": raw}], [READ, {"bytes": raw}], [{"bytes": raw}]])
    assert [turn.texts for turn in played] == [["Hello."]] * 3


async def test_the_words_of_the_provider_behind_it_are_told() -> None:
    raw = json.dumps({"error": {"message": "Your prompt was flagged by the moderation of Acme AI."}})
    body = error(403, "Provider returned error", raw=raw, provider_name="Acme")[1]
    await fails_once(Provider(), {"status": 400, "body": body}, "flagged by the moderation of Acme AI")


async def test_an_error_within_the_stream_is_told() -> None:
    event = {"error": {"code": 502, "message": "Upstream idle timeout exceeded"}, "choices": []}
    await fails_once(Provider(), {"bytes": f"data: {json.dumps(event)}\n\n"}, "Upstream idle timeout exceeded")
