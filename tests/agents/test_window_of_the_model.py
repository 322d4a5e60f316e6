"""Results that do not fit into the model's window, and servers that silently read less than was sent."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from agents.compaction import SHORTEST_CUT_CHARS, cut_results
from agents.thread.conversation import fills_window, is_cut_by_server, size_of
from state import AgentState, tool_message


def thread(*results: str, tool: str = "read_file") -> list[AnyMessage]:
    messages: list[AnyMessage] = [HumanMessage("go")]
    for number, text in enumerate(results):
        call = {"id": str(number), "name": tool, "args": {}, "type": "tool_call"}
        messages += [AIMessage("", tool_calls=[call]), tool_message(str(number), tool, text)]
    return messages


def test_a_thread_is_compacted_again_only_when_it_has_grown_since() -> None:
    """What a compaction leaves may still fill the window: to compact it again would not end."""
    state = AgentState(messages=thread("a"), turn={"compacted_at": 3})
    assert not fills_window(state, 900, 1000)
    state["messages"] += [HumanMessage("more")]
    assert fills_window(state, 900, 1000)
    assert not fills_window(state, 800, 1000)


def test_the_newest_result_is_cut_too_and_says_how_to_read_on() -> None:
    messages = thread("a" * 500, "b" * 10_000 + "END")
    cut = cut_results(messages, 4_000)
    assert size_of(cut) <= 4_000
    assert cut[:4] == messages[:4]
    text = str(cut[-1].content)
    assert text.startswith("bbb")
    assert text.endswith("END")
    assert "call read_file with start_line and end_line" in text


def test_the_largest_result_is_cut_first_and_none_to_nothing() -> None:
    cut = cut_results(thread("a" * 3_000, "b" * 9_000), 100)
    assert [len(str(m.content)) > SHORTEST_CUT_CHARS for m in (cut[2], cut[4])] == [True, True]
    assert size_of(cut) < 3_000


def test_results_that_fit_are_left_alone() -> None:
    messages = thread("a" * 500)
    assert cut_results(messages, 4_000) == messages


@pytest.mark.parametrize(
    ("chars", "tokens", "cut"),
    [
        (60_000, 4_096, True),
        (60_000, 15_000, False),
        (60_000, 6_000, False),
        (4_000, 100, False),
        (60_000, None, False),
    ],
)
def test_a_count_that_is_too_small_for_the_request_is_noticed(chars: int, tokens: int | None, cut: bool) -> None:
    assert is_cut_by_server(chars, tokens) is cut
