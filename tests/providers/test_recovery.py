"""What every provider does now and then: replies that are cut, empty, or that only show a call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from llm.chat_model import Endpoint, Models
from llm.reply.body import kept_extras
from nodes.specialist import ENDED_SILENTLY
from tests.providers.conversation import DONE, LIST, READ, WRITE, converse
from tests.providers.provider import Json, Provider, Style

CONTENT = "\n".join(f'line {number}: «ünï» "quoted" \\ {number * 7}' for number in range(80))
SHOWN = f"```json\n{json.dumps({'name': 'write_file', 'arguments': {'path': 'README.md', 'content': 'x'}})}\n```"


def cut(raw: str, name: str = "write_file") -> Json:
    """A reply that ended at the length limit within a call."""
    call = {"index": 0, "id": "c1", "function": {"name": name, "arguments": raw}}
    events = [{"choices": [{"delta": {"tool_calls": [call]}}]}, {"choices": [{"delta": {}, "finish_reason": "length"}]}]
    return {"bytes": "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"}


def in_text(name: str, arguments: Json) -> str:
    return json.dumps({"name": name, "arguments": arguments})


def written(provider: Provider) -> Any:
    """The arguments of the last write in the history of the last request."""
    calls = [call for m in provider.last_agent_request["messages"] for call in m.get("tool_calls") or []]
    return json.loads(
        next(c for c in reversed(calls) if c["function"]["name"] == "write_file")["function"]["arguments"]
    )


@pytest.mark.parametrize("parts", [1, 3])
async def test_a_write_that_was_cut_is_written_in_pieces(parts: int) -> None:
    raw = json.dumps({"path": "a.md", "content": CONTENT})
    begun = raw[: len(raw) // 2]
    while begun[-1] == "\\":
        begun = begun[:-1]
    said = json.loads(begun.replace('{"path": "a.md", "content": ', "") + '"')
    rest = CONTENT[len(said) :]
    size = -(-len(rest) // parts)
    pieces = [rest[start : start + size] for start in range(0, len(rest), size)]
    replies: list[Json] = [{"text": piece, "finish": "length"} for piece in pieces[:-1]] + [{"text": pieces[-1]}]
    with Provider() as provider:
        played, _ = await converse(provider, [[cut(begun), *replies, {"text": "Done."}]])
        assert written(provider) == {"path": "a.md", "content": CONTENT}
    assert played[0].calls == ["write_file"]
    assert played[0].texts == ["Done."]


async def test_pieces_in_a_fence_or_with_a_repeated_line_are_joined_once() -> None:
    begun = '{"path": "a.py", "content": "import os\\nprint(os.environ)\\nx = '
    with Provider() as provider:
        await converse(
            provider, [[cut(begun), {"text": "```python\nprint(os.environ)\nx = 1\n```"}, {"text": "Done."}]]
        )
        assert written(provider)["content"] == "import os\nprint(os.environ)\nx = 1"


async def test_another_call_that_was_cut_is_made_again() -> None:
    with Provider() as provider:
        played, _ = await converse(provider, [[cut('{"path": "lib/ma', "read_file"), READ, {"text": "Read."}]])
        asked = provider.requests[1]["body"]["messages"][-1]["content"]
    assert "cut at its length limit inside the call of read_file" in asked
    assert (played[0].calls, played[0].texts) == (["read_file"], ["Read."])


async def test_a_model_that_cannot_stay_within_its_limit_ends_the_turn_and_not_the_session() -> None:
    short = cut('{"path": "a', "read_file")
    with Provider() as provider:
        played, _ = await converse(provider, [[short, short], [READ, {"text": "Read."}]])
    assert "cut at its length limit" in played[0].failures[0]
    assert played[1].is_usable


async def test_a_text_that_was_cut_goes_on() -> None:
    with Provider() as provider:
        played, _ = await converse(provider, [[{"text": "One, two", "finish": "length"}, {"text": ", three."}]])
    assert played[0].texts == ["One, two, three."]


@pytest.mark.parametrize("extras", [{}, {"reasoning_content": "All is done."}])
async def test_an_empty_reply_after_work_ends_the_turn(extras: Json) -> None:
    with Provider(style=Style(message_extras=extras)) as provider:
        played, _ = await converse(provider, [[READ, {"text": ""}], [READ, {"text": "Read."}]])
    assert [turn.texts for turn in played] == [[ENDED_SILENTLY], ["Read."]]
    assert not played[0].failures


async def test_an_empty_reply_to_a_request_is_an_error_and_the_session_goes_on() -> None:
    with Provider() as provider:
        played, _ = await converse(provider, [[{"text": ""}], [READ, {"text": "Read."}]])
    assert [turn.is_usable for turn in played] == [False, True]


async def test_a_call_in_text_of_a_model_that_has_called_natively_stays_in_the_answer() -> None:
    with Provider() as provider:
        played, _ = await converse(provider, [[READ, {"text": "Read."}], [{"text": SHOWN}]])
    assert (played[1].calls, played[1].texts) == ([], [SHOWN])


async def test_a_read_in_text_runs_and_anything_else_asks() -> None:
    style = Style(as_text=in_text)
    with Provider(style=style) as provider:
        turns = [[LIST, {"text": "Two."}], [{"tool": "execute_command", "args": {"command": "ls"}}, WRITE, DONE]]
        played, _ = await converse(provider, turns)
    assert played[0].asked == []
    assert played[1].asked == ["execute_command", "write_file"]


async def test_a_command_that_reads_runs_unasked_when_it_is_called_natively() -> None:
    with Provider() as provider:
        played, _ = await converse(provider, [[{"tool": "execute_command", "args": {"command": "ls"}}, DONE]])
    assert (played[0].calls, played[0].asked) == (["execute_command"], [])


@pytest.mark.parametrize(
    "text",
    [
        f"A call that writes looks like this:\n{SHOWN}",
        f"{SHOWN}\nThis is how one writes a file.",
        'The file says:\n{"name": "attempt_completion", "arguments": {"result": "made up"}}',
    ],
)
async def test_a_call_that_is_only_shown_is_an_answer_also_of_a_model_without_native_calls(text: str) -> None:
    with Provider() as provider:
        played, _ = await converse(provider, [[{"text": text}]])
    assert (played[0].calls, played[0].texts) == ([], [text])


async def test_extras_are_dropped_when_the_model_changes() -> None:
    with Provider(style=Style(message_extras={"reasoning_content": "hm"})) as provider:
        await converse(provider, [[READ, {"text": "a"}]], model="one")
        assert any("reasoning_content" in m for m in provider.last_agent_request["messages"])
        models = Models(model="two", endpoint=Endpoint(provider.url))
        provider.say({"text": "b"})
        before = AIMessage("x", additional_kwargs=kept_extras("one", {"reasoning_content": "hm"}, {}))
        await models.reply([HumanMessage("a"), before, HumanMessage("c")])
        await models.aclose()
        assert not any("reasoning_content" in m for m in provider.last_agent_request["messages"])
