"""Llama through vLLM: templates that raise, servers started without a tool parser, one call per message."""

from __future__ import annotations

import json

import pytest

from tests.providers.conversation import CONVERSATIONS, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Style, calls_of, paired_results, strict_turns


def error(message: str) -> Refusal:
    return 400, {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}


def single_calls(body: Json) -> Refusal | None:
    several = any(len(message.get("tool_calls") or []) > 1 for message in body["messages"])
    return error("This model only supports single tool-calls at once!") if several else None


def no_parser(body: Json) -> Refusal | None:
    said = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    return error(said) if "tools" in body else None


def no_tool_role(body: Json) -> Refusal | None:
    wrong = any(message["role"] == "tool" for message in body["messages"]) or calls_of(body)
    return error("Only user and assistant roles are supported!") if wrong else None


def no_system(body: Json) -> Refusal | None:
    return error("System role not supported") if body["messages"][0]["role"] == "system" else None


def no_guided_json(body: Json) -> Refusal | None:
    return error("response_format json_schema is not supported by this backend") if "response_format" in body else None


TURNS = strict_turns(error("Conversation roles must alternate user/assistant/user/assistant/..."))


def python_tag(name: str, arguments: Json) -> str:
    return f"<|python_tag|>{json.dumps({'name': name, 'parameters': arguments})}"


def custom(name: str, arguments: Json) -> str:
    return f"<function={name}>{json.dumps(arguments)}</function>"


def pythonic(name: str, arguments: Json) -> str:
    return f"[{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})]"


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_conversations(conversation: str) -> None:
    style = Style(call_id=lambda n: f"chatcmpl-tool-{n:032x}")
    await usable(Provider([single_calls, paired_results], style), conversation, model="llama-3.3-70b")


@pytest.mark.parametrize("written", [python_tag, custom, pythonic])
@pytest.mark.parametrize("conversation", ["reads and answers", "completes by a call"])
async def test_a_server_without_a_tool_parser(written: object, conversation: str) -> None:
    rules = [no_parser, no_tool_role, no_system, TURNS, no_guided_json]
    models = await usable(Provider(rules, Style(as_text=written)), conversation)  # type: ignore[arg-type]
    assert {("change", "no_tools"), ("change", "no_system")} <= set(models.counts)


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "eos", None])
async def test_any_end_of_whole_calls(finish: str | None) -> None:
    await usable(Provider([single_calls], Style(finish=finish)), "completes by a call")


async def test_a_request_that_is_too_large_for_the_model_ends_with_a_reason() -> None:
    said = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens in the messages."
    await fails_once(Provider([]), {"status": 400, "body": error(said)[1]}, "too long")
