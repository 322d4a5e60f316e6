"""llm/reply/body.py: any body gives the same text, calls and usage, however it is cut into blocks."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import ModelBadReply, ModelUnavailable
from llm.failure import Failure
from llm.reply.body import ReplyBody


def read(raw: bytes, size: int | None = None) -> dict[str, Any]:
    """Read a body in blocks of `size` and say what was in it."""
    body = ReplyBody()
    blocks = [raw[i : i + size] for i in range(0, len(raw), size)] if size else [raw]
    texts = [body.feed(block) for block in blocks]
    last, ending = body.end()
    calls = [(call.id, call.name, call.arguments) for call in ending.calls]
    return {"text": "".join(texts) + last, "calls": calls, "finish": ending.finish, "usage": ending.usage}


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def delta(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def message(finish: str | None = "stop", **message: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode()


WHOLE = ("c1", "t", '{"a": 1}')
CALL = {"id": "c1", "type": "function", "function": {"name": "t", "arguments": '{"a": 1}'}}


def test_plain_json_is_read() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    raw = {
        "choices": [{"message": {"content": None, "tool_calls": [CALL]}, "finish_reason": "tool_calls"}],
        "usage": usage,
    }
    result = read(json.dumps(raw, indent=2).encode())
    assert result == {"text": "", "calls": [WHOLE], "finish": "tool_calls", "usage": usage}


def test_arguments_as_an_object_become_text() -> None:
    call = {"id": "c", "function": {"name": "t", "arguments": {"path": "ä"}}}
    assert read(message(tool_calls=[call]))["calls"][0][2] == '{"path": "ä"}'


def test_pieces_of_a_call_are_joined_also_without_an_index() -> None:
    parts = [
        delta(tool_calls=[{"id": "c1", "function": {"name": "t", "arguments": ""}}]),
        delta(tool_calls=[{"function": {"arguments": '{"a"'}}]),
        delta(tool_calls=[{"function": {"arguments": ": 1}"}}]),
        delta("tool_calls"),
    ]
    assert read(sse(*parts))["calls"] == [WHOLE]


def test_several_calls_stay_apart() -> None:
    two = [{"id": f"c{n}", "function": {"name": "t", "arguments": "{}"}} for n in (1, 2)]
    indexed = [delta(tool_calls=[{"index": n, **call}]) for n, call in enumerate(two)]
    always_zero = [delta(tool_calls=[{"index": 0, **call}]) for call in two]
    without = [delta(tool_calls=[call]) for call in two]
    for parts in (indexed, always_zero, without, [delta(tool_calls=two)]):
        assert [call[0] for call in read(sse(*parts, delta("tool_calls")))["calls"]] == ["c1", "c2"]


def test_usage_that_is_repeated_is_counted_once() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1}
    raw = sse(delta(content="a") | {"usage": usage}, delta("stop", content="b") | {"usage": usage})
    assert read(raw)["usage"] == {"prompt_tokens": 5, "completion_tokens": 1}


def test_text_of_one_block_comes_at_once() -> None:
    body = ReplyBody()
    assert body.feed(sse(*(delta(content=f"w{n} ") for n in range(50)))) == "".join(f"w{n} " for n in range(50))


@pytest.mark.parametrize("content", [[{"type": "text", "text": "hi"}], "hi"])
def test_content_in_parts_is_text(content: object) -> None:
    assert read(message(content=content))["text"] == "hi"


def test_comments_other_lines_and_carriage_returns_are_skipped() -> None:
    raw = b": ping\r\n\r\nevent: x\r\nid: 4\r\ndata: " + json.dumps(delta("stop", content="hi")).encode() + b"\r\n\r\n"
    assert read(raw)["text"] == "hi"


def test_half_of_an_emoji_waits_for_the_other_half() -> None:
    raw = b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'
    raw += b'data: {"choices":[{"delta":{"content":"\\ude00b"}}]}\n\n'
    for size in (1, 62, 1000):
        assert read(raw + sse(delta("stop")), size)["text"] == "a😀b"
    assert read(raw[:55].partition(b"\n\n")[0] + b"\n\n" + sse(delta("stop")))["text"] == "a\ufffd"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n",
        b"<html>no</html>",
        b"{broken",
        b"[1, 2]",
        b"data: {broken\n\n",
        b"data: 3\n\n",
        sse(delta(content="half")),
        sse(delta(tool_calls=["x"])),
        b"\xff\xfe\x00garbage",
        b"data: \xff\xff\n\n",
    ],
)
def test_an_unreadable_body_may_be_asked_for_again(raw: bytes) -> None:
    body = ReplyBody()
    with pytest.raises(Failure) as caught:  # noqa: PT012 both halves may notice
        text, ending = body.feed(raw), body.end()[1]
        assert (text, ending.calls, ending.finish) == ("", [], None)
        raise Failure(ModelBadReply(), again=True)  # nothing in it: Models calls that an empty reply
    assert isinstance(caught.value.error, ModelBadReply)
    assert caught.value.again


@pytest.mark.parametrize(
    ("error", "again"),
    [
        ({"message": "overloaded", "code": 503}, True),
        ({"message": "slow down", "code": "429"}, True),
        ({"message": "no", "status": 401}, False),
        ("plain words", True),
        ({"code": "rate_limit_exceeded"}, True),
    ],
)
def test_an_error_inside_the_body_is_a_failure(error: object, again: bool) -> None:
    for raw in (sse(delta(content="a"), {"error": error}), json.dumps({"error": error}).encode()):
        body = ReplyBody()
        with pytest.raises(Failure) as caught:  # noqa: PT012 both halves may notice
            body.feed(raw)
            body.end()
        assert isinstance(caught.value.error, ModelUnavailable)
        assert caught.value.again is again


def test_a_context_error_inside_the_body_is_known() -> None:
    with pytest.raises(Failure) as caught:
        ReplyBody().feed(sse({"error": {"code": 400, "type": "exceed_context_size_error", "message": "too many"}}))
    assert isinstance(caught.value.error, ModelBadReply)
    assert "too long" in caught.value.error.message


def test_what_follows_the_end_is_ignored() -> None:
    raw = sse(delta("stop", content="a")) + b"data: [DONE]\n\n" + sse(delta(content="b")) + b"data: {broken\n\n"
    assert read(raw)["text"] == "a"
    body = ReplyBody()
    assert body.feed(sse(delta("stop", content="a")) + b"data: [DONE]\n\n")
    assert body.feed(b"garbage") == ""
    assert body.end()[0] == ""


@given(
    st.lists(st.text(max_size=8), max_size=6),
    st.dictionaries(st.text(max_size=4), st.text(max_size=8), max_size=3),
    st.integers(1, 40),
)
def test_how_the_body_is_cut_changes_nothing(words: list[str], arguments: dict[str, str], size: int) -> None:
    raw_arguments = json.dumps(arguments, ensure_ascii=False)
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "t", "arguments": raw_arguments}}
    raw = sse(*(delta(content=word) for word in words), delta(tool_calls=[call]), delta("tool_calls"))
    result = read(raw, size)
    assert result == read(raw)
    assert result["text"] == "".join(words)
    assert json.loads(result["calls"][0][2]) == arguments


def test_a_whole_call_needs_no_end() -> None:
    part = {"index": 0, "id": "c1", "function": {"name": "t", "arguments": '{"a": 1}'}}
    assert read(sse(delta(tool_calls=[part])))["calls"] == [WHOLE]
    with pytest.raises(Failure):
        read(sse(delta(tool_calls=[{**part, "function": {"name": "t", "arguments": '{"a": 1'}}])))


def test_a_name_in_pieces_is_joined_and_a_repeated_one_is_not() -> None:
    def piece(name: str | None, arguments: str) -> dict[str, Any]:
        return delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": name, "arguments": arguments}}])

    joined = read(sse(piece("read_", ""), piece("file", '{"a": '), piece(None, "1}"), delta("tool_calls")))
    repeated = read(sse(piece("read_file", '{"a": '), piece("read_file", "1}"), delta("tool_calls")))
    assert joined["calls"] == repeated["calls"] == [("c1", "read_file", '{"a": 1}')]


def test_what_stands_beside_a_message_and_its_calls_is_kept() -> None:
    signature = {"google": {"thought_signature": "abc"}}
    call = {"index": 0, "id": "c1", "function": {"name": "t", "arguments": "{}"}, "extra_content": signature}
    raw = sse(
        delta(role="assistant", reasoning_content="I ", refusal=None, annotations=[]),
        delta(reasoning_content="think"),
        delta(reasoning_details=[{"type": "reasoning.text", "index": 0, "text": "a", "format": "f"}]),
        delta(reasoning_details=[{"type": "reasoning.text", "index": 0, "text": "b", "signature": "s"}]),
        delta(thinking_blocks=[{"type": "thinking", "thinking": "x"}]),
        delta(thinking_blocks=[{"type": "thinking", "thinking": "y", "signature": "z"}]),
        delta("tool_calls", tool_calls=[call]),
    )
    body = ReplyBody()
    assert body.feed(raw) == ""
    ending = body.end()[1]
    assert ending.extras == {
        "reasoning_content": "I think",
        "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "ab", "format": "f", "signature": "s"}],
        "thinking_blocks": [{"type": "thinking", "thinking": "xy", "signature": "z"}],
    }
    assert ending.calls[0].extras == {"extra_content": signature}


def test_parts_of_a_content_list_that_are_thoughts_are_no_text() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "hi"}]
    assert read(message(content=parts))["text"] == "hi"
