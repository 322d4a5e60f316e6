"""What stays of a conversation that is too long (docs/decisions/0006-compaction.md)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agents.compaction import (
    clear_results,
    join,
    outline,
    split,
    transcript,
)
from agents.thread.conversation import estimate_tokens, hidden_message, last_reading, reading_of, size_of
from llm.script.history import HistoryBroken, check_history
from state import tool_message


def rounds(count: int, *, tool: str = "read_file", chars: int = 1000, calls: int = 1) -> list[AnyMessage]:
    """A request and as many rounds of calls and results."""
    messages: list[AnyMessage] = [HumanMessage("first request", id="user_1")]
    for number in range(count):
        ids = [f"call_{number}_{n}" for n in range(calls)]
        written = [{"id": i, "name": tool, "args": {"path": f"{i}.dart"}, "type": "tool_call"} for i in ids]
        messages.append(AIMessage("", id=f"msg_{number}", name="coder", tool_calls=written))
        messages += [tool_message(i, tool, "x" * chars) for i in ids]
    return messages


def test_only_old_results_that_can_be_fetched_again_are_cleared() -> None:
    reads, commands = rounds(6), rounds(6, tool="execute_command")
    cleared = clear_results(reads)
    assert [len(str(m.content)) for m in cleared if isinstance(m, ToolMessage)][-3:] == [1000] * 3
    assert all("Call read_file again" in str(m.content) for m in cleared[:-6] if isinstance(m, ToolMessage))
    assert [m.id for m in cleared] == [m.id for m in reads]
    assert clear_results(commands) == commands
    assert clear_results(rounds(6, chars=10)) == rounds(6, chars=10)
    assert str(reads[2].content) == "x" * 1000, "the given messages stay as they are"


def test_first_request_current_request_plan_note_and_last_rounds_stay() -> None:
    note = hidden_message("plan-note:2", "what was finished")
    middle: list[AnyMessage] = [
        AIMessage("answer one", id="a1"),
        hidden_message("plan-note:1", "older note"),
        note,
        HumanMessage("second request", id="user_2"),
        AIMessage("answer two", id="a2"),
        HumanMessage("the request under way", id="user_3"),
    ]
    messages = [rounds(0)[0], *middle, *rounds(5)[1:]]
    parts = split(messages, 2500)
    assert parts is not None
    window = join(parts[0], hidden_message("summary:1", "short"), parts[1])
    assert [m.id for m in window[:4]] == ["user_1", "summary:1", "plan-note:2", "user_3"]
    assert [m.id for m in window[4:]] == [m.id for m in messages[-4:]]


def test_nothing_to_summarise_is_said() -> None:
    assert split([HumanMessage("a", id="1")], 10) is None
    assert split(rounds(1), 0) is None


@given(st.integers(0, 8), st.integers(1, 3), st.integers(0, 9000), st.integers(0, 12))
def test_every_call_keeps_exactly_one_result(count: int, calls: int, tail_chars: int, keep: int) -> None:
    messages = clear_results(rounds(count, calls=calls), keep=keep)
    check_history(messages)
    parts = split(messages, tail_chars)
    if parts is None:
        return
    window = join(parts[0], hidden_message("summary:1", "short"), parts[1])
    try:
        check_history(window)
    except HistoryBroken as error:
        raise AssertionError(window) from error
    assert window[0] is messages[0]
    assert window[-1] is messages[-1]
    again = split(window, 0)
    assert again is None or str(again[0][1].id).startswith("summary:")


def test_tokens_are_reckoned_from_the_servers_own_count() -> None:
    counted = AIMessage("x", response_metadata=reading_of(900, 3000))
    assert last_reading([counted, AIMessage("y")]) == (900, 3000)
    assert estimate_tokens(3600, (900, 3000)) == 1100
    assert estimate_tokens(300, None) == 100
    assert estimate_tokens(0, (10, 3000)) == 0
    assert reading_of(None, 5) == {}


def test_a_transcript_is_readable_and_bounded() -> None:
    messages = [*rounds(2, chars=5000), AIMessage("done", name="coder"), hidden_message("summary:0", "before that")]
    text = transcript(messages, 100_000)
    assert text.splitlines()[0] == "User: first request"
    assert 'Agent called read_file {"path": "call_0_0.dart"}' in text
    assert text.endswith("Agent coder: done\nEarlier summary: before that")
    assert len(text) < 5000
    assert len(transcript(messages, 500)) < 600
    assert "Result" not in outline(messages)
    assert size_of(messages) > 10_000
