"""Replies of a model server that are large, or cost more than their bytes: the event loop waits for none of them."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks.scale.replies import read
from llm.reply.body import MAX_REPLY_CHARS, ReplyBody
from llm.reply.text import ReplyText

LOOP_WAITS = {
    "text of 1 MB, one event": ("completed", 0.05),
    "a call of 1 MB": ("awaiting_approval", 0.05),
    "text at the limit, one event, escaped": ("completed", 0.25),
    "a call at the limit": ("awaiting_approval", 0.25),
    "text beyond the limit, one event": ("failed", 0.25),
    "text without end": ("failed", 0.05),
    "calls without end": ("failed", 0.05),
    "a gzip bomb of text": ("failed", 0.05),
    "a gzip bomb of brackets": ("failed", 0.05),
}
"""How a turn with such a reply ends, and how long the event loop may compute for it, by docs/scale-report.md."""
LINES = {
    "words": "word\n",
    "objects": '{"a": 1}\n',
    "objects that are calls by their keys": '{"name": 1}\n',
    "lists": "[1]\n",
    "fences": "```\n",
    "elements": "<a>\n",
    "blank lines": " \n",
    "announcements": "Action: \n",
}


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", LOOP_WAITS)
async def test_the_event_loop_computes_only_so_long_for_one_reply(db_url: str, name: str) -> None:
    """CPU time of its thread between two looks at other tasks, while the reply is read, stored and shown."""
    outcome, most_s = LOOP_WAITS[name]
    found = await read(db_url, name)
    assert found["outcome"] == outcome
    assert 0 < found["longest_ms"] <= 1000 * most_s, found


WRITTEN = {
    "an element that is never closed": ("<read_file>", "<path>a</path>", ""),
    "children that are never closed": ("<read_file>", "<path>", "</read_file>"),
    "many elements": ("", "<read_file><path>a</path></read_file>", ""),
    "another element before the end": ("<read_file>", "<path>a</path><a>", "</read_file>"),
    "parameters that are never closed": ("<function=read_file>", "<parameter=path>", "</function>"),
    "an invocation without ends": ('<invoke name="read_file">', '<parameter name="path">', "</invoke>"),
    "pairs that are never closed": ("<tool_call>read_file", "<arg_key>a</arg_key><arg_value>", ""),
    "parentheses": ("[TOOL_CALLS]read_file(path=[", '"a",)', ")"),
    "brackets": ("[TOOL_CALLS][read_file(path=[", '"a",]', "]"),
    "many calls": ("", '<tool_call>{"name":"read_file","arguments":{"path":"a"}}</tool_call>', ""),
    "a heavy tree": ('{"name":"read_file","arguments":{"x":[', "[],", "[]]}}"),
}
"""Calls in a text that are almost well formed: how they begin, what is repeated, how they end."""


def cost_s(text: str) -> float:
    """The CPU time for a text that comes in one piece."""
    reply = ReplyText({"read_file"})
    began = time.thread_time()
    reply.feed(text)
    reply.close()
    return time.thread_time() - began


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_text_of_many_lines_costs_its_length(line: str) -> None:
    """Twice the lines cost about twice the time, not four times."""
    cost_s("Now:\n" + line)
    assert cost_s("Now:\n" + line * 200_000) < 3.5 * cost_s("Now:\n" + line * 100_000) + 0.01


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("begin", "part", "end"), WRITTEN.values(), ids=WRITTEN)
def test_a_text_of_almost_calls_costs_its_length(begin: str, part: str, end: str) -> None:
    cost_s(begin + part * 20 + end)
    once, twice = (cost_s(begin + part * (size // len(part)) + end) for size in (400_000, 800_000))
    assert twice < 3.5 * once + 0.02


def test_all_of_a_long_reply_is_kept() -> None:
    body, said = ReplyBody(), "a line\n" * 200_000
    assert len(said) < MAX_REPLY_CHARS
    event = {"choices": [{"delta": {"content": said}, "finish_reason": "stop"}]}
    shown = body.feed(b"data: " + json.dumps(event).encode() + b"\n\ndata: [DONE]\n\n")
    assert shown + body.end()[0] == said
