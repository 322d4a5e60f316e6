"""OpenAI: gpt-4.1, and the o-series and gpt-5 with the fields that they refuse."""

from __future__ import annotations

import re

import pytest

from tests.providers.conversation import CONVERSATIONS, fails_once, usable
from tests.providers.provider import (
    Json,
    Provider,
    Refusal,
    Rule,
    Style,
    calls_of,
    openai_error,
    paired_results,
    without,
)


def short_ids(body: Json) -> Refusal | None:
    for number, call in enumerate(calls_of(body)):
        if len(call["id"]) > 40:
            return openai_error(
                f"Invalid 'messages[2].tool_calls[{number}].id': string too long. Expected a string with maximum "
                f"length 40, but got a string with length {len(call['id'])} instead."
            )
    return None


def plain_names(body: Json) -> Refusal | None:
    names = [m["name"] for m in body["messages"] if "name" in m]
    names += [call["function"]["name"] for call in calls_of(body)]
    wrong = next((name for name in names if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)), None)
    return openai_error(f"Invalid 'messages[1].name': string does not match pattern: {wrong}") if wrong else None


def known_fields(body: Json) -> Refusal | None:
    known = {"role", "content", "tool_calls", "tool_call_id", "name", "refusal", "audio"}
    unknown = next((key for message in body["messages"] for key in message if key not in known), None)
    return openai_error(f"Unrecognized request argument supplied: {unknown}") if unknown else None


def default_temperature(body: Json) -> Refusal | None:
    if body.get("temperature", 1) == 1:
        return None
    return openai_error(
        f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. "
        "Only the default (1) value is supported.",
        "temperature",
    )


def no_system(body: Json) -> Refusal | None:
    role = body["messages"][0]["role"]
    if role not in ("system", "developer"):
        return None
    return openai_error(
        f"Unsupported value: 'messages[0].role' does not support '{role}' with this model.", "messages[0].role"
    )


def unsupported(name: str, instead: str = "") -> Rule:
    return without(
        name, openai_error(f"Unsupported parameter: '{name}' is not supported with this model.{instead}", name)
    )


def no_stream(body: Json) -> Refusal | None:
    refusal = openai_error(
        "Unsupported value: 'stream' does not support true with this model. Supported values are: false."
    )
    return refusal if body.get("stream") else None


COMMON = [short_ids, plain_names, paired_results]
GPT_5 = [*COMMON, default_temperature, unsupported("max_tokens", " Use 'max_completion_tokens' instead.")]
O_SERIES = [*GPT_5, unsupported("parallel_tool_calls")]
O1_MINI = [*O_SERIES, no_system, no_stream]


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize(
    ("model", "rules"), [("gpt-4.1", COMMON), ("gpt-5", GPT_5), ("o3", O_SERIES), ("o1-mini", O1_MINI)]
)
async def test_conversations(model: str, rules: list[Rule], conversation: str) -> None:
    await usable(Provider(rules), conversation, model=model)


async def test_ids_that_another_server_made_longer() -> None:
    await usable(Provider(COMMON, Style(call_id=lambda n: f"toolu_{n:058d}")), "reads and answers")


async def test_unknown_fields_are_learnt_one_by_one() -> None:
    style = Style(message_extras={"reasoning_content": "hm", "annotations_of_proxy": [1]})
    models = await usable(Provider([*COMMON, known_fields], style), "reads and answers")
    assert models.counts["change", "beside:reasoning_content"] == 1


async def test_what_was_learnt_is_remembered() -> None:
    provider = Provider(GPT_5)
    await usable(provider, "completes by a call", model="gpt-5")
    assert len(provider.refusals) == 2  # the temperature and max_tokens, once each


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            "exceeded your current quota",
        ),
        (404, "The model `gpt-9` does not exist or you do not have access to it.", "does not exist"),
        (400, "Your input was flagged by our safety system (request req_4f2a9c81b0d34e).", "flagged by our safety"),
        (401, "Incorrect API key provided: sk-abcdef1234567890.", "refused the credentials"),
    ],
)
async def test_a_refusal_ends_the_turn_with_its_reason(status: int, message: str, words: str) -> None:
    body = {"error": {"message": message, "type": "insufficient_quota" if status == 429 else "x", "code": None}}
    played = await fails_once(Provider(COMMON), {"status": status, "body": body}, words)
    assert "sk-" not in played[1].failures[0]
    assert "req_" not in played[1].failures[0]
