"""The reader of server-sent events, byte by byte."""

import pytest

from client.sse import Event, read_events

BODY = (
    ': keep-alive\n\nid: 7\ndata: {"a":"ü\u2028\u0085"}\n\nid:8\r\ndata:{}\r\n\r\ndata: x\ndata: y\n\nid: 9\ndata: cut'
).encode()
EVENTS = [Event(None, None), Event(7, '{"a":"ü\u2028\u0085"}'), Event(8, "{}"), Event(None, "x\ny")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_the_body_is_cut(size: int) -> None:
    assert list(read_events(BODY[at : at + size] for at in range(0, len(BODY), size))) == EVENTS


def test_unknown_fields_and_odd_numbers_are_ignored() -> None:
    body = b"event: x\nretry: 5\nid: many\ndata: {}\n\n\n\n"
    assert list(read_events([body])) == [Event(None, "{}")]
