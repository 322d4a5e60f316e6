"""Mistral: nine-character ids, no unknown fields (422), a strict order of roles."""

from __future__ import annotations

import json
import re

import pytest

from tests.providers.conversation import CONVERSATIONS, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Rule, Style, calls_of, paired_results, strict_turns


def error(message: str, code: int = 3230) -> Refusal:
    return 400, {"object": "error", "message": message, "type": "invalid_request_message_order", "code": code}


def nine_characters(body: Json) -> Refusal | None:
    wrong = next((call["id"] for call in calls_of(body) if not re.fullmatch(r"[a-zA-Z0-9]{9}", call["id"])), None)
    said = f"Tool call id was {wrong} but must be a-z, A-Z, 0-9, with a length of 9."
    return error(said, 3280) if wrong else None


def forbidden(name: str) -> Rule:
    detail = [
        {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": True}
    ]
    return lambda body: (422, {"detail": detail}) if name in body else None


def names_in_messages(body: Json) -> Refusal | None:
    detail = [
        {
            "type": "extra_forbidden",
            "loc": ["body", "messages", 2, "assistant", "name"],
            "msg": "Extra inputs are not permitted",
        }
    ]
    return (422, {"detail": detail}) if any("name" in message for message in body["messages"]) else None


def last_role(body: Json) -> Refusal | None:
    said = "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
    return None if body["messages"][-1]["role"] in ("user", "tool") else error(said)


ORDER = strict_turns(error("Unexpected role 'user' after role 'tool'"))
RULES = [nine_characters, forbidden("stream_options"), names_in_messages, last_role, ORDER, paired_results]
STYLE = Style(call_id=lambda n: f"a1B2c{n:04d}")


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_conversations(conversation: str) -> None:
    models = await usable(Provider(RULES, STYLE), conversation, model="mistral-large-latest")
    assert set(models.counts) & {("change", "no_stream_options")}


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_ids_of_another_server_are_shortened(conversation: str) -> None:
    await usable(Provider(RULES), conversation)


@pytest.mark.parametrize("name", ["parallel_tool_calls", "max_tokens", "temperature"])
async def test_each_field_that_is_forbidden_is_left_out(name: str) -> None:
    await usable(Provider([*RULES, forbidden(name)], STYLE), "completes by a call")


async def test_calls_that_stay_in_the_text() -> None:
    def in_tokens(name: str, arguments: Json) -> str:
        return f"[TOOL_CALLS]{name}[ARGS]{json.dumps(arguments)}"

    await usable(Provider(RULES, Style(as_text=in_tokens)), "completes by a call")


async def test_the_reason_of_a_refusal_is_told() -> None:
    body = {"object": "error", "message": "Service tier capacity exceeded for this model.", "code": "3505"}
    await fails_once(Provider(RULES, STYLE), {"status": 429, "body": body}, "language model is busy")
