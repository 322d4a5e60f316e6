"""Server-sent events in the protocol's form: `id:`, `data:`, comments, blank lines (docs/protocol.md, Transport)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One event: `data` is None for a comment, which only shows that the connection lives."""

    id: int | None
    data: str | None


def read_events(blocks: Iterable[bytes]) -> Iterator[Event]:
    """Cut a body into events.

    Only LF and CRLF end a line: a reader that splits at U+0085 or U+2028 too would break chunks apart.
    An event that the end of the body cut off is dropped.
    """
    number: int | None = None
    data: list[str] = []
    for line in _lines(blocks):
        if line.startswith(":"):
            yield Event(None, None)
        elif line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                data.append(value)
            elif field == "id" and value.isdecimal():
                number = int(value)
        elif data:
            yield Event(number, "\n".join(data))
            number, data = None, []


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
