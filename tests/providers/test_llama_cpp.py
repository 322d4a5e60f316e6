"""llama.cpp: a server started without templates for tools, template errors with status 500, a small window."""

from __future__ import annotations

import json

import pytest

from tests.providers.conversation import CONVERSATIONS, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Style, calls_of, paired_results


def error(code: int, message: str) -> Refusal:
    return code, {
        "error": {"code": code, "message": message, "type": "server_error" if code == 500 else "invalid_request_error"}
    }


def no_jinja(body: Json) -> Refusal | None:
    return error(500, "tools param requires --jinja flag") if "tools" in body else None


def no_tool_messages(body: Json) -> Refusal | None:
    return error(500, "Value is not callable: null, tool_calls in template") if calls_of(body) else None


def no_choice(body: Json) -> Refusal | None:
    return error(400, "Unsupported tool_choice: required") if body.get("tool_choice") == "required" else None


def fenced(name: str, arguments: Json) -> str:
    return f"```json\n{json.dumps({'name': name, 'arguments': arguments})}\n```"


def listed(name: str, arguments: Json) -> str:
    return f"<tools>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tools>"


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_conversations(conversation: str) -> None:
    style = Style(call_id=lambda n: f"{n:032x}")
    await usable(Provider([no_choice, paired_results], style), conversation, model="qwen2.5-coder-1.5b")


@pytest.mark.parametrize("written", [fenced, listed])
@pytest.mark.parametrize("conversation", ["reads and answers", "completes by a call"])
async def test_a_server_without_templates_for_tools(written: object, conversation: str) -> None:
    models = await usable(Provider([no_jinja, no_tool_messages], Style(as_text=written)), conversation)  # type: ignore[arg-type]
    assert models.counts["change", "no_tools"] == 1


@pytest.mark.parametrize("written", [fenced, listed])
async def test_calls_that_the_template_leaves_in_the_text(written: object) -> None:
    await usable(Provider([paired_results], Style(as_text=written)), "completes by a call")  # type: ignore[arg-type]


async def test_a_request_that_is_too_large_for_the_window() -> None:
    body = {
        "error": {
            "code": 400,
            "type": "exceed_context_size_error",
            "message": "the request exceeds the available context size",
        }
    }
    await fails_once(Provider([]), {"status": 400, "body": body}, "too long")
