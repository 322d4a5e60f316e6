"""llm/reply/calls.py: pieces of calls find their call, however a server numbers and names them."""

import json
from typing import Any

import pytest

from tests.llm.reply.test_body import delta, read, sse

A, B = '{"path": "a"}', '{"path": "b"}'
Piece = dict[str, Any]


def piece(name: str | None = None, arguments: Any = None, **beside: Any) -> Piece:
    """One piece of a call: what is None is not sent."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**beside, "function": function}


def calls_of(pieces: list[Piece]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = read(sse(*(delta(tool_calls=[p]) for p in pieces), delta("tool_calls")))["calls"]
    return found


@pytest.mark.parametrize(
    "pieces",
    [
        [piece("read", A, index=0, id=""), piece("list", B, index=0, id="")],
        [piece("read", A, index=None, id=None), piece("list", B, index=None, id=None)],
        [
            piece("read", "", index="0"),
            piece("list", "", index="1"),
            piece(None, A, index="0"),
            piece(None, B, index="1"),
        ],
        [piece("read", "", index=1), piece("list", "", index=2), piece(None, B, index=2), piece(None, A, index=1)],
        [piece("read", "", id=""), piece(None, A), piece("list", ""), piece(None, B)],
        [piece("read", {"path": "a"}, index=0), piece("list", {"path": "b"}, index=0)],
        [piece("read", A, index=7, id="x"), piece("list", B, index=7, id="y")],
    ],
)
def test_two_calls_stay_two(pieces: list[Piece]) -> None:
    assert [call[1:] for call in calls_of(pieces)] == [("read", A), ("list", B)]


def test_two_calls_of_one_tool_stay_two_also_with_the_same_number_and_no_ids() -> None:
    for beside in ({"index": 0}, {"index": None}, {}, {"index": 0, "id": ""}):
        assert [call[2] for call in calls_of([piece("read", A, **beside), piece("read", B, **beside)])] == [A, B]


def test_pieces_that_only_their_ids_tell_apart() -> None:
    pieces = [piece("read", "", id="x"), piece("list", "", id="y"), piece(None, A, id="x"), piece(None, B, id="y")]
    assert calls_of(pieces) == [("x", "read", A), ("y", "list", B)]


@pytest.mark.parametrize(
    "pieces",
    [
        [piece("read", "", index=0), piece(None, A, index=0), piece(None, "", index=0, id="x")],
        [piece(None, A, index=0, id="x"), piece("read", None, index=0)],
        [piece("read", A[:7], index=0, id="x"), piece("read", A[7:], index=0, id="x")],
        [piece("read", A[:7], id="x"), piece("read", A[7:], id="x")],
        [piece("read", A[:7], index=0, id="x"), piece(None, A[7:], index=0, id="y")],
        [piece("read", A[:7], index=0, id="x"), piece("read", A[7:], index=0, id="y")],
        [piece("read", A, index=0, id="x"), piece("read", "", index=0, id="x")],
        [piece("re", "", index=0, id="x"), piece("ad", "", index=0), piece(None, A, index=0)],
        [piece("read", {}, index=0, id="x"), piece(None, A, index=0)],
        [piece("read", {"path": "a"}, index=0, id="x"), piece(None, {}, index=0)],
        [piece("read", {"path": "a"}, index=0, id="x"), piece(None, "", index=0)],
    ],
)
def test_one_call_stays_one(pieces: list[Piece]) -> None:
    assert calls_of(pieces) == [("x", "read", A)]


def test_arguments_sent_as_objects_in_pieces_are_one_object() -> None:
    pieces = [piece("write", {"path": "a"}, index=0), piece(None, {"content": "b"}, index=0)]
    assert [json.loads(call[2]) for call in calls_of(pieces)] == [{"path": "a", "content": "b"}]


def test_a_call_among_the_parts_of_the_content() -> None:
    part = {"type": "tool_use", "id": "x", "name": "read", "input": {"path": "a"}}
    raw = sse(delta("tool_use", content=[{"type": "text", "text": "Hi"}, part]))
    assert (read(raw)["text"], read(raw)["calls"]) == ("Hi", [("x", "read", A)])
