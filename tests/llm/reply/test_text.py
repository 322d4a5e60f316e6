"""llm/reply/text.py: ordinary text flows, what may be a call waits."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.reply.text import PROXY_ERROR, ReplyText

TOOLS = ["read_file", "list_files"]
CALL = '{"name": "read_file", "arguments": {"path": "a.py"}}'


def play(*pieces: str, tools: list[str] | None = None) -> tuple[ReplyText, list[str]]:
    """Feed the pieces, close, and return the text with what it showed."""
    shown: list[str] = []
    reply = ReplyText(TOOLS if tools is None else tools, shown.append)
    for piece in pieces:
        reply.feed(piece)
    reply.close()
    return reply, shown


def test_ordinary_text_is_shown_at_once_piece_by_piece() -> None:
    shown: list[str] = []
    reply = ReplyText(TOOLS, shown.append)
    for piece in ["Hel", "lo", " world", "\nsecond", " line"]:
        reply.feed(piece)
        assert "".join(shown) == reply.text
    assert shown == ["Hel", "lo", " world", "\nsecond", " line"]
    assert reply.is_shown


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        f"```json\n{CALL}\n```",
        f"```\n{CALL}\n```",
        f"```json {CALL}```",
        f"\n\n  {CALL}\n",
        f"<tool_call>{CALL}</tool_call>",
        f"<tool_call>\n{CALL}",
        f"[{CALL}]",
        f"```tool_call\n{CALL}",
        f"<tools>\n{CALL}\n</tools>",
        f"<tools>\n{CALL}",
        f"<tool_result>\n{CALL}\n</tool_result>\n",
        '<tools>\n  <function name="read_file" arguments=\'{"path": "a.py"}\'/>\n</tools>',
        '<function name="read_file" arguments="{&quot;path&quot;: &quot;a.py&quot;}"></function>',
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_call_as_the_whole_text_is_never_shown(text: str, size: int) -> None:
    reply, shown = play(*(text[i : i + size] for i in range(0, len(text), size)))
    assert shown == []
    assert reply.text == ""
    assert [(call.name, call.arguments) for call in reply.calls] == [("read_file", {"path": "a.py"})]


def test_an_announcement_before_a_call_stays_text() -> None:
    reply, shown = play("I'll look first.\n", "```json\n", CALL, "\n```")
    assert len(reply.calls) == 1
    assert "".join(shown) == reply.text == "I'll look first.\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("text", [f"I'll look.\n{CALL}\nThen I answer.", f"```json\n{CALL}\n```\nThat is a call."])
def test_a_call_that_words_follow_stays_in_the_text(text: str, size: int) -> None:
    reply, shown = play(*(text[i : i + size] for i in range(0, len(text), size)))
    assert reply.calls == []
    assert "".join(shown) == reply.text == text


def test_a_reply_that_begins_like_a_call_shows_nothing_until_it_is_clear() -> None:
    shown: list[str] = []
    reply = ReplyText(TOOLS, shown.append)
    for piece in ("```json\n", CALL, "\n```\n"):
        reply.feed(piece)
        assert shown == []
    for _ in range(20):
        reply.feed("This is how a call looks. ")
    assert "".join(shown).startswith("```json")
    reply.close()
    assert reply.calls == []


def test_two_calls_one_after_the_other_are_both_found() -> None:
    reply, shown = play(f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>")
    assert len(reply.calls) == 2
    assert shown == []
    reply, shown = play(f"{CALL}\n{CALL}")
    assert len(reply.calls) == 2


@pytest.mark.parametrize(
    "text",
    [
        '{"colour": "red"}',
        '{"name": "delete_all", "arguments": {}}',
        '```json\n{"name": "someone", "arguments": {}}\n```\ndone',
        "```python\nprint({'a': 1})\n```",
        f"```python\n{CALL[:10]}\n```\nend",
        "{ not json",
        '{"name": "read_file", "arguments": {"path": "a',
        "[link](http://x) and more",
        "`inline` code",
        "<b>bold</b>",
        "<tool_call>nonsense</tool_call> rest",
        "<tools>\n\n</tools>\n",
        "<tools>\nhammer, saw\n</tools>\n",
        "<tool_response>\nError: no such file\n</tool_response>",
        '<tools>{"name": "delete_all", "arguments": {}}</tools>',
        "<function name=\"delete_all\" arguments='{}'/> done",
        '<function name="read_file" arguments=\'{"path": "a',
        "<functions>",
        "[Error] something else went wrong",
        "```",
        "{",
        "a ```json in the middle",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_everything_else_is_released_unchanged(text: str, size: int) -> None:
    reply, shown = play(*(text[i : i + size] for i in range(0, len(text), size)))
    assert reply.calls == []
    assert "".join(shown) == reply.text == text


def test_an_argument_may_hold_what_closes_a_call() -> None:
    content = "before </tools> ``` \n``` after"
    call = json.dumps({"name": "read_file", "arguments": {"path": content}})
    for text in (f"<tools>\n{call}\n</tools>", f"```json\n{call}\n```"):
        reply, shown = play(text)
        assert [call.arguments for call in reply.calls] == [{"path": content}]
        assert shown == []


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"name": "read_file", "arguments": {"path": ".*\\.dart"}}\n```',
        '<tool_call>\n{"name": "read_file", "arguments": {"path": ".*\\.dart"}}\n</tool_call>',
        '{"name": "read_file", "arguments": {"path": \'a.py\'}}',
        '{"tool": "read_file", "args": {"path": "a.py",}}\n',
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_call_with_an_error_in_its_json_is_a_call_that_names_the_error(text: str, size: int) -> None:
    reply, shown = play(*(text[i : i + size] for i in range(0, len(text), size)))
    assert shown == []
    (call,) = reply.calls
    assert (call.name, call.arguments) == ("read_file", None)
    assert call.problem


def test_json_that_cannot_be_a_call_is_released_before_its_end() -> None:
    shown: list[str] = []
    reply = ReplyText(TOOLS, shown.append)
    reply.feed('{"colour": "re')
    assert "".join(shown) == '{"colour": "re'


def test_a_code_block_flows_while_it_is_written() -> None:
    shown: list[str] = []
    reply = ReplyText(TOOLS, shown.append)
    for piece in ["```py", "thon\n", "x = {", "1}\n"]:
        reply.feed(piece)
    assert "".join(shown) == "```python\nx = {1}\n"


def test_a_call_shown_as_an_example_in_another_language_block_stays_text() -> None:
    text = f"```text\nexample:\n{CALL}\n```\n"
    reply, shown = play(text)
    assert reply.calls == []
    assert "".join(shown) == text


def test_without_tools_json_is_text_at_once() -> None:
    shown: list[str] = []
    reply = ReplyText([], shown.append)
    reply.feed('{"is_at')
    assert shown == ['{"is_at']


def test_the_error_text_of_a_proxy_is_held_to_the_end() -> None:
    shown: list[str] = []
    reply = ReplyText([], shown.append)
    for piece in ["\n[Err", "or] LiteLLM", " proxy unavailable: connect"]:
        reply.feed(piece)
    assert shown == []
    assert reply.held.lstrip().startswith(PROXY_ERROR)


@pytest.mark.parametrize("text", ["", " ", "\n\n \t\n"])
def test_blanks_alone_are_nothing(text: str) -> None:
    reply, shown = play(text)
    assert (reply.text, shown, reply.is_shown) == ("", [], False)


def test_a_long_call_in_text_costs_linear_time() -> None:
    reply = ReplyText(TOOLS)
    started = time.process_time()
    reply.feed('{"name": "read_file", "arguments": {"path": "')
    for _ in range(20_000):
        reply.feed("x = {1} ")
        if time.process_time() - started > 20:
            break
    reply.feed('"}}')
    reply.close()
    assert len(reply.calls) == 1
    assert time.process_time() - started < 20


@given(st.text(alphabet="a `{}[]<>\"'\n:,xE", max_size=60), st.integers(1, 5))
def test_text_is_never_lost_nor_doubled(text: str, size: int) -> None:
    reply, shown = play(*(text[i : i + size] for i in range(0, len(text), size)))
    assert reply.calls == []
    assert "".join(shown) == reply.text
    assert reply.text == (text if text.strip() else "")
