"""llm/request/messages.py: whatever a thread holds, what goes out is what the strictest server takes."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm.request.messages import GO_ON, NO_OUTPUT, NO_RESULT, STOPPED, as_text, normalised, plain_id

SYSTEM = {"role": "system", "content": "s"}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str | None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def calls(*ids: str, name: str = "read_file", arguments: str = "{}") -> dict[str, Any]:
    made = [{"id": i, "type": "function", "function": {"name": name, "arguments": arguments}} for i in ids]
    return said(None, tool_calls=made)


def result(call_id: str, content: str = "r") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def roles(messages: list[dict[str, Any]]) -> list[str]:
    return [message["role"] for message in messages]


def test_no_message_has_a_name() -> None:
    assert normalised([SYSTEM, user("a"), said("b", name="coder"), user("c")]) == [
        SYSTEM,
        user("a"),
        said("b"),
        user("c"),
    ]


def test_messages_of_one_role_are_joined_and_empty_ones_are_left_out() -> None:
    found = normalised([SYSTEM, user("a"), said(""), user("b"), said("c"), said("d"), user("e")])
    assert found == [SYSTEM, user("a\n\nb"), said("c\n\nd"), user("e")]


def test_an_assistant_message_stands_between_a_result_and_the_next_request() -> None:
    completion = calls("c", name="attempt_completion", arguments='{"result": "Port 1."}')
    assert normalised([user("a"), completion, result("c"), user("b")])[3] == said("Port 1.")
    assert normalised([user("a"), calls("c"), result("c"), user("b")])[3] == said(STOPPED)


def test_every_call_has_exactly_one_result_behind_it() -> None:
    found = normalised([user("a"), calls("x", "y"), user("b"), result("y", ""), result("z"), result("y", "again")])
    assert roles(found) == ["user", "assistant", "tool", "tool", "assistant", "user"]
    assert [m["content"] for m in found if m["role"] == "tool"] == [NO_RESULT, NO_OUTPUT]


def test_a_conversation_begins_and_ends_with_the_user() -> None:
    assert normalised([SYSTEM, said("a"), user("b"), said("c")]) == [
        SYSTEM,
        user(GO_ON),
        said("a"),
        user("b"),
        said("c"),
        user(GO_ON),
    ]
    assert normalised([SYSTEM]) == [SYSTEM, user(GO_ON)]


def test_ids_are_short_plain_and_stable() -> None:
    long = "ünusual:" + "x" * 60
    found = normalised([user("a"), calls("ok_1", long), result(long), result("ok_1")])
    ids = [call["id"] for call in found[1]["tool_calls"]]
    assert ids == [m["tool_call_id"] for m in found[2:]] == ["ok_1", plain_id(long)]
    assert len(plain_id(long)) <= 40
    assert plain_id(long).isascii()
    assert plain_id(long) != plain_id(long + "x")


def test_a_server_without_a_tool_interface_reads_calls_and_results_as_text() -> None:
    tool = {"type": "function", "function": {"name": "read_file", "parameters": {}}}
    messages = normalised(
        [SYSTEM, user("a"), calls("c", arguments='{"path": "x"}'), result("c", "text of x"), user("b")]
    )
    payload = {"messages": messages, "tools": [tool], "tool_choice": "auto", "parallel_tool_calls": False}
    as_text(payload)
    assert set(payload) == {"messages"}
    found: Any = payload["messages"]
    assert roles(found) == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "read_file" in found[0]["content"]
    assert json.loads(found[2]["content"].split("\n")[1]) == {"name": "read_file", "arguments": {"path": "x"}}
    assert "text of x" in found[3]["content"]


IDS = st.sampled_from(["a", "b", "c" * 60])
MESSAGES = st.lists(
    st.one_of(
        st.builds(user, st.sampled_from(["u", "v", ""])),
        st.builds(said, st.sampled_from(["t", "", None])),
        st.lists(IDS, min_size=1, max_size=3, unique=True).map(lambda ids: calls(*ids)),
        st.builds(result, IDS, st.sampled_from(["r", ""])),
    ),
    max_size=12,
)


@given(MESSAGES)
def test_whatever_is_given_the_strictest_server_takes_it(messages: list[dict[str, Any]]) -> None:
    found = normalised([SYSTEM, *messages])
    assert roles(found)[:2] == ["system", "user"]
    assert found[-1]["role"] in ("user", "tool")
    waiting: list[str] = []
    for before, message in itertools.pairwise(found):
        assert message.get("content") or message.get("tool_calls")
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
            continue
        assert waiting == []
        waiting = [call["id"] for call in message.get("tool_calls", [])]
        if message["role"] == "user":
            assert before["role"] in ("system", "assistant")
        else:
            assert before["role"] in ("user", "tool") or before.get("tool_calls") or message.get("tool_calls")
    assert waiting == []
    assert normalised(found) == found
