"""What a server refuses of a request is found out, whether it says so or not, and remembered; the rest is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from llm.chat_model import Endpoint, Models
from llm.request.fields import changed, named_change
from tests.providers.provider import Json, Provider, Refusal, Rule, openai_error, without
from tools.catalog import TOOLS

CONVERSATION: list[BaseMessage] = [
    SystemMessage("You write code."),
    HumanMessage("Read a.py"),
    AIMessage("", tool_calls=[{"id": "c1", "name": "read_file", "args": {"path": "a.py"}}]),
    ToolMessage("x = 1", tool_call_id="c1"),
]
SILENT: Refusal = (400, {"error": {"message": "Bad Request"}})


def limited(most: int) -> Rule:
    def rule(body: Json) -> Refusal | None:
        wanted = body.get("max_tokens") or body.get("max_completion_tokens") or 0
        return openai_error(f"max_tokens must be less than or equal to {most}") if wanted > most else None

    return rule


def if_(is_refused: Any, refusal: Refusal) -> Rule:
    return lambda body: refusal if is_refused(body) else None


def has_system(body: Json) -> bool:
    return bool(body["messages"][0]["role"] == "system")


def has_text_content(body: Json) -> bool:
    return any(isinstance(message.get("content"), str) for message in body["messages"])


def forbidden(field: str) -> Refusal:
    detail = {"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted", "input": 1}
    return 422, {"detail": [detail]}


async def changes_of(rules: list[Rule], *, calls: int = 3) -> tuple[set[str], list[int]]:
    """What is remembered after some calls, and how often each of them was refused."""
    with Provider(rules) as provider:
        endpoint = Endpoint(provider.url, temperature=0.2, max_tokens=500)
        models = Models(model="m", endpoint=endpoint, max_retries=0)
        refused = []
        for _ in range(calls):
            before = len(provider.refusals)
            provider.say({"text": "Hello."})
            assert (await models.reply(CONVERSATION, tools=TOOLS)).text == "Hello."
            refused.append(len(provider.refusals) - before)
        await models.aclose()
    return {name for kind, name in models.counts if kind == "change"}, refused


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        ([without("parallel_tool_calls", forbidden("parallel_tool_calls"))], {"no_parallel_tool_calls"}),
        ([without("stream_options", (400, "unknown field `stream_options`"))], {"no_stream_options"}),
        (
            [without("parallel_tool_calls", (400, {"message": "property 'body.parallel_tool_calls' is unsupported"}))],
            {"no_parallel_tool_calls"},
        ),
        ([without("tools", (404, {"error": {"message": "No endpoints found that support tool use."}}))], {"no_tools"}),
        ([without("tools", (400, {"message": "Tool call parser is not set"}))], {"no_tools"}),
        ([limited(200)], {"max_completion_tokens", "no_max_completion_tokens"}),
        ([if_(has_system, openai_error("First message must be from user"))], {"no_system"}),
        ([if_(has_text_content, openai_error("content: Input should be a valid list"))], {"content_parts"}),
        (
            [if_(lambda b: b.get("stream"), openai_error("Streaming is not supported for this deployment"))],
            {"no_stream"},
        ),
    ],
)
async def test_what_a_refusal_names_is_changed_once(rules: list[Rule], changes: set[str]) -> None:
    found, refused = await changes_of(rules)
    assert found == changes
    assert refused == [len(changes), 0, 0]


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        (without("parallel_tool_calls", SILENT), "no_parallel_tool_calls"),
        (without("stream_options", (400, "")), "no_stream_options"),
        (without("temperature", SILENT), "no_temperature"),
        (without("max_tokens", SILENT), "max_completion_tokens"),
        (if_(has_system, (422, {"error": "bad request"})), "no_system"),
        (if_(lambda body: body.get("stream"), SILENT), "no_stream"),
    ],
)
async def test_what_no_refusal_names_is_guessed_and_only_the_guess_that_helped_is_kept(rule: Rule, change: str) -> None:
    found, refused = await changes_of([rule])
    assert found == {change}
    assert refused[1:] == [0, 0]


async def test_guesses_that_are_needed_together_are_learnt_by_the_next_call() -> None:
    found, refused = await changes_of([without("parallel_tool_calls", SILENT), without("stream_options", SILENT)])
    assert found == {"no_parallel_tool_calls", "no_stream_options"}
    assert refused == [2, 1, 0]


async def test_a_server_without_tools_that_names_nothing_is_believed_the_second_time() -> None:
    found, refused = await changes_of([without("tools", SILENT)], calls=4)
    assert found == {"no_tools"}
    assert all(refused[:2])
    assert refused[2:] == [0, 0]


CORPUS = Path(__file__).parents[2] / "corpora" / "refused_fields.jsonl"
ROWS = [json.loads(row) for row in CORPUS.read_text(encoding="utf-8").splitlines()]
CALLS = [
    {"id": name, "type": "function", "function": {"name": "read_file", "arguments": "{}"}} for name in ("c1", "c2")
]
MESSAGES: list[Json] = [
    {"role": "system", "content": "You write code."},
    {"role": "user", "content": "Read both."},
    {"role": "assistant", "content": None, "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "c1", "content": "one"},
    {"role": "tool", "tool_call_id": "c2", "content": "two"},
    {"role": "assistant", "content": "Once more.", "tool_calls": CALLS[:1]},
    {"role": "tool", "tool_call_id": "c1", "content": "one"},
]
BODY: Json = {
    "model": "m",
    "messages": MESSAGES,
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0,
    "max_tokens": 500,
    "parallel_tool_calls": False,
    "tool_choice": "auto",
    "response_format": {"type": "json_schema"},
    "tools": [{"type": "function", "function": {"name": "read_file", "parameters": {"additionalProperties": False}}}],
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["said"][:40])
def test_a_refusal_in_the_words_of_a_server_names_what_it_does_not_take(row: dict[str, str]) -> None:
    """`tests/corpora/refused_fields.jsonl`."""
    name = named_change(row["said"], BODY, ())
    assert name == row["change"]
    assert changed(BODY, {row["change"]}) != BODY
    assert named_change(row["said"], changed(BODY, {row["change"]}), {row["change"]}) != row["change"]
