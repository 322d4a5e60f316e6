"""A session over real HTTP: chunks, refusals, dropped connections, cancel."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from client.session import ServerRefused, ServerUnreachable, Session, read_chunk
from client.time_limit import TimeLimit, TimeUp
from tests.client.runtime_double import (
    KEY,
    Refuse,
    Reply,
    RuntimeDouble,
    delta,
    done,
    runtime,
    says,
)
from wire.protocol import Chunk, ToolCall

HELLO = {"type": "user_message", "content": "hello"}


@contextmanager
def session(*replies: Reply, key: str = KEY, seconds: float = 20) -> Iterator[tuple[Session, RuntimeDouble]]:
    with runtime(*replies) as double, closing(Session(double.url, key, TimeLimit(seconds))) as opened:
        yield opened, double


def texts(chunks: list[Chunk]) -> list[str | None]:
    return [chunk.token if chunk.token is not None else chunk.content for chunk in chunks]


def test_message_is_sent_in_version_2_with_the_clients_own_session_id() -> None:
    with session([says("Hi"), done()]) as (client, double):
        chunks = list(client.send(HELLO))
    assert [chunk.type for chunk in chunks] == ["assistant_message", "done"]
    assert double.received == [{"session_id": client.id, "protocol_version": 2, "message": HELLO}]
    assert double.keys == [KEY]


def test_comments_and_line_separators_pass() -> None:
    with session(["comment", says("a\u2028b\u0085c"), "comment", done()]) as (client, _):
        assert texts(list(client.send(HELLO))) == ["a\u2028b\u0085c", None]


def test_lone_surrogates_do_not_break_a_message() -> None:
    with session([done()]) as (client, double):
        list(client.send({"type": "user_message", "content": "a\ud800b"}))
    assert double.messages[0]["content"] == "a\ud800b"


def test_dropped_body_is_read_on_from_the_log_without_repeats() -> None:
    with session([delta("a"), delta("b"), "break", delta("c"), says("abc"), done()]) as (client, double):
        assert texts(list(client.send(HELLO))) == ["a", "b", "c", "abc", None]
    assert double.stream_requests == [(2, "2")]
    assert len(double.received) == 1


def test_reply_without_done_is_read_on() -> None:
    with session([says("a")]) as (client, double):
        double.record(says("earlier than asked"))
        chunks = client.send(HELLO)
        assert next(chunks).content == "a"
        double.record(done())
        assert [chunk.type for chunk in chunks] == ["done"]


def test_turn_after_done_belongs_to_the_next_reader() -> None:
    with session([delta("a"), "break", done(), says("next turn")]) as (client, _):
        assert texts(list(client.send(HELLO))) == ["a", None]


def test_server_that_is_gone_is_one_sentence() -> None:
    with session() as (client, _):
        pass
    with pytest.raises(ServerUnreachable, match="cannot be reached; check the address"):
        list(Session(client.url, KEY, TimeLimit(5)).send(HELLO))
    with pytest.raises(ServerUnreachable, match="not an http address"):
        list(Session("nonsense", KEY, TimeLimit(5)).send(HELLO))


def test_wrong_key_is_one_sentence() -> None:
    with session([done()], key="wrong") as (client, _), pytest.raises(ServerRefused, match="does not accept this key"):
        list(client.send(HELLO))


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (Refuse(404, {"detail": "Session X not found", "code": "session_unknown"}), r"\(404\): Session X not found"),
        (Refuse(409, {"detail": "Decided before.", "code": "call_settled"}), r"\(409\): Decided before\."),
        (Refuse(413, {"detail": "Too large.", "code": "bad_request"}), r"\(413\): Too large\."),
        (Refuse(422, {"detail": [{"loc": ["body", "message"], "msg": "Field required"}]}), r"body\.message: Field req"),
        (Refuse(418), "status 418"),
    ],
)
def test_refusals_are_sentences(refusal: Refuse, sentence: str) -> None:
    with session(refusal) as (client, _), pytest.raises(ServerRefused, match=sentence):
        list(client.send(HELLO))


@pytest.mark.parametrize(
    "refusal",
    [
        Refuse(429, {"error": "Too many requests"}, {"Retry-After": "1"}),
        Refuse(503, {"detail": "Not ready.", "code": "not_ready"}),
        Refuse(409, {"detail": "Busy.", "code": "session_busy"}),
    ],
)
def test_passing_refusal_is_waited_for(refusal: Refuse) -> None:
    with session(refusal, [done()]) as (client, double):
        assert [chunk.type for chunk in client.send(HELLO)] == ["done"]
    assert len(double.received) == 2


def test_repeats_are_bounded() -> None:
    with session(*[Refuse(503, {"detail": "Not ready."})] * 5) as (client, double):
        with pytest.raises(ServerRefused, match="Not ready"):
            list(client.send(HELLO))
        assert len(double.received) == 4


def test_time_limit_ends_a_wait() -> None:
    with session(["hang"], seconds=0.3) as (client, _), pytest.raises(TimeUp, match=r"longer than 0\.3 seconds"):
        list(client.send(HELLO))


def test_cancel_with_nothing_to_cancel_says_so() -> None:
    with session() as (client, double):
        assert client.cancel() is False
        assert double.cancels == 1


def test_older_session_is_caught_up() -> None:
    with session([says("new"), done()]) as (client, double):
        double.record(says("old"))
        client.catch_up()
        assert client.last_seq == 1


def test_unknown_types_and_keys_are_tolerated() -> None:
    assert read_chunk('{"type":"news","content":"x","extra":1}') == Chunk(type="news", content="x")
    call = read_chunk('{"type":"tool_call","call_id":"c","tool_name":"t","arguments":{},"is_final":null,"more":2}')
    assert isinstance(call, ToolCall)
    assert read_chunk('{"type":"tool_call"}') == Chunk(type="tool_call")
    for nonsense in ("", "[]", "{}", '{"type":1}'):
        assert read_chunk(nonsense) is None
