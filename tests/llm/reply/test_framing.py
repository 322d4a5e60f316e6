"""llm/reply/body.py: replies framed, numbered and ended as servers do it, and errors that come with status 200."""

import json
from typing import Any

import pytest

from errors import ModelBadReply, ModelUnavailable
from llm.failure import Failure
from llm.reply.body import ReplyBody
from tests.llm.reply.test_body import delta, message, read, sse

SIZES = (1, 7, 100_000)
HELLO = [delta(content="Hel"), delta(content="lo"), delta("stop")]
PLAIN = json.dumps({"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}).encode()


def framed(before: str = "data: ", behind: str = "\n\n") -> bytes:
    return "".join(before + said + behind for said in [*map(json.dumps, HELLO), "[DONE]"]).encode()


@pytest.mark.parametrize(
    "raw",
    [
        framed("data:"),
        framed(behind="\n"),
        framed(behind="\r\n\r\n"),
        framed(behind="\r\r"),
        framed("data: data: "),
        framed(" data: "),
        framed("Data: "),
        b"\xef\xbb\xbf" + framed(),
        b"retry: 3000\nid\n: waiting\n\n" + framed("event: message\ndata: "),
        b": waiting\n\n" + PLAIN,
        PLAIN + b"\n\ndata: [DONE]\n\n",
        b"[" + PLAIN + b"]",
        framed().replace(b"[DONE]", b"[done]"),
        framed().replace(b"[DONE]", b"bye"),
        framed().replace(b"[DONE]", b"{cut"),
        b"data: ping\n\n" + framed(),
        b'event: ping\ndata: {"type": "ping"}\n\n' + framed(),
        b"".join(
            b"data: " + line + b"\n"
            for line in json.dumps(delta("stop", content="Hello"), indent=1).encode().split(b"\n")
        ),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_a_reply_is_read_in_any_framing(raw: bytes, size: int) -> None:
    result = read(raw, size)
    assert (result["text"], result["finish"]) == ("Hello", "stop")


@pytest.mark.parametrize(
    "content", [{"type": "text", "text": "Hello"}, ["Hel", "lo"], [{"type": "output_text", "text": "Hello"}]]
)
def test_content_that_is_no_text_but_holds_one(content: object) -> None:
    assert read(sse(delta("stop", content=content)))["text"] == "Hello"


@pytest.mark.parametrize("finish", ["", "null"])
def test_a_finish_reason_that_says_nothing_is_no_end(finish: str) -> None:
    with pytest.raises(Failure) as caught:
        read(sse(delta(finish, content="Hel")))
    assert isinstance(caught.value.error, ModelBadReply)


def choice(index: int, content: str = "", finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": {"content": content}, "finish_reason": finish}


@pytest.mark.parametrize(
    "events",
    [
        [[choice(0, "A"), choice(1, "X")], [choice(1, "X"), choice(0, "B", "stop")]],
        [[choice(1, "X"), choice(0, "A")], [choice(0, "B", "stop")], [choice(1, "X", "length")]],
        [[choice(0, "A")], [choice(1, "X", "length")], [choice(0, "B", "stop")]],
        [[choice(1, "A")], [choice(1, "B", "stop")]],
    ],
)
def test_one_of_several_choices_is_read(events: list[Any]) -> None:
    result = read(sse(*({"choices": choices} for choices in events)))
    assert (result["text"], result["finish"]) == ("AB", "stop")


def test_the_whole_message_behind_its_deltas_is_not_read_twice() -> None:
    call = {"id": "c", "function": {"name": "t", "arguments": "{}"}}
    whole = {"choices": [{"message": {"content": "Hello", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    result = read(sse(delta(content="Hello"), delta(tool_calls=[{"index": 0, **call}]), whole))
    assert (result["text"], len(result["calls"]), result["finish"]) == ("Hello", 1, "tool_calls")
    assert read(sse(delta(role="assistant"), json.loads(message(content="Hi"))))["text"] == "Hi"


USAGE = {"prompt_tokens": 1, "completion_tokens": 2}


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [], "usage": USAGE},
        {"usage": USAGE},
        {"choices": [{"index": 0, "delta": {}, "usage": USAGE}]},
        {"choices": [], "x_groq": {"usage": USAGE}},
    ],
)
def test_usage_is_found_wherever_a_server_writes_it(last: dict[str, Any]) -> None:
    assert read(sse(*HELLO, last))["usage"] == USAGE


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"detail": "Model is loading"}', "Model is loading"),
        (b'{"object": "error", "message": "Only 4096 tokens", "code": 40303}', "Only 4096 tokens"),
        (b'{"choices": null, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}', "login fail"),
        (b'{"code": 1210, "msg": "wrong parameter", "success": false}', "wrong parameter"),
        (b'{"success": false, "errors": [{"code": 7003, "message": "No route"}]}', "No route"),
        (b'{"error": true, "message": "quota used up"}', "quota used up"),
        (b'{"error": null, "message": "Slow down"}', "Slow down"),
        (b'event: error\ndata: {"detail": "engine died"}\n\n', "engine died"),
        (b'event: error\ndata: {"message": "engine died"}', "engine died"),
        (b"event: error\ndata: engine died\n\n", "engine died"),
        (sse(delta(content="Hel"), {"detail": "engine died"}), "engine died"),
        (sse({"choices": [{"finish_reason": "error", "error": {"message": "upstream broke"}}]}), "upstream broke"),
    ],
)
def test_an_error_with_status_200_tells_its_reason(raw: bytes, reason: str) -> None:
    for size in SIZES:
        with pytest.raises(Failure) as caught:
            read(raw, size)
        assert isinstance(caught.value.error, ModelUnavailable)
        assert reason in caught.value.error.message


@pytest.mark.parametrize(
    "raw", [b"engine died", b"engine died\n", sse(delta(content="Hel")) + b"data: engine died\n\n"]
)
def test_words_that_are_no_reply_are_a_bad_reply_and_told(raw: bytes) -> None:
    for size in SIZES:
        with pytest.raises(Failure) as caught:
            read(raw, size)
        assert isinstance(caught.value.error, ModelBadReply)
        assert caught.value.error.message == "The language model failed: engine died."


def test_a_web_page_is_named() -> None:
    body = ReplyBody()
    body.feed(b"<!DOCTYPE html>\n<html><title>Log in</title></html>\n")
    with pytest.raises(Failure, match="web page"):
        body.end()
