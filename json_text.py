"""JSON as text: which values can be stored, and how they are written on one line (docs/protocol.md, Transport)."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 100
"""How deep arrays and objects may be nested."""
MAX_VALUES = 50_000
"""How many values, and arrays and objects, a JSON text may hold: a tree of more holds up the process."""
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = re.compile(r"[^][{}]+")
_INNERMOST = re.compile(r"\[\]|\{\}")
_INTEGERS = range(-(2**63), 2**64)
"""The integers that a checkpoint (MessagePack) can store."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Gateways split lines at these characters, so they are always escaped.
_LINE_BREAKS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_LINE_BREAK = re.compile("[\u0085\u2028\u2029]")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class UnfitJSON(ValueError):
    """A JSON value is well formed and cannot be stored; the message says why."""


class Unreadable(Exception):
    """A body of a request is not JSON that can be stored; the message says why."""


def parse_json(text: str, *, any_integer: bool = False, **options: Any) -> Any:
    """Parse JSON whose value can be stored: no NaN, no infinity, at most MAX_DEPTH levels and
    MAX_VALUES values, integers of 64 bits.

    With `any_integer` larger integers are accepted: the tables store them as text. `options` are those of `json.loads`.
    Raises ValueError with a sentence for the author of the text.
    """
    check_weight(text)
    read_integer = int if any_integer else _integer
    try:
        return json.loads(text, parse_constant=_constant, parse_int=read_integer, parse_float=_float, **options)
    except RecursionError as error:  # brackets that nothing closes
        raise _too_deep() from error


def read_json(body: bytes) -> Any:
    """Parse the body of a request; raises Unreadable with a sentence for its client."""
    try:
        return parse_json(body.decode("utf-8-sig"), any_integer=True)
    except UnicodeDecodeError as error:
        raise Unreadable("The body is not UTF-8") from error
    except UnfitJSON as error:
        raise Unreadable(f"The body cannot be kept: {error}") from error
    except ValueError as error:
        raise Unreadable("The body is not valid JSON") from error


def check_weight(text: str) -> None:
    """Raise UnfitJSON for a text with too many levels or values, before a tree is built from it."""
    if text.count(",") + text.count("[") + text.count("{") < MAX_DEPTH:
        return
    bare = _STRING.sub("", text)
    opened = bare.count("[") + bare.count("{")
    if bare.count(",") + opened >= MAX_VALUES:
        raise UnfitJSON(f"more than {MAX_VALUES:,} values")
    if opened <= MAX_DEPTH:
        return
    brackets = _NO_BRACKETS.sub("", bare)
    for _ in range(MAX_DEPTH):
        inside = len(brackets)
        brackets = _INNERMOST.sub("", brackets)
        if len(brackets) == inside:  # all closed; or malformed, which the parser says
            return
    if brackets:
        raise _too_deep()


def _too_deep() -> UnfitJSON:
    return UnfitJSON(f"nested deeper than {MAX_DEPTH} levels")


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _integer(text: str) -> int:
    number = int(text)
    if number not in _INTEGERS:
        raise UnfitJSON(f"the integer {text[:40]} has more than 64 bits; write it as a string")
    return number


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise UnfitJSON(f"the number {text[:40]} is too large; write it as a string")
    return number


def has_large_integer(value: Any) -> bool:
    """Whether a JSON value holds an integer that a checkpoint cannot hold."""
    if isinstance(value, dict):
        return any(map(has_large_integer, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_large_integer, value))
    return isinstance(value, int) and value not in _INTEGERS


def _is_encodable(text: str) -> bool:
    """Whether a text has no lone surrogates: found by its encoding, in a tenth of the time of a search."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(value: Any) -> Any:
    """Replace U+0000 and lone surrogates by U+FFFD in every string of a JSON value."""
    if isinstance(value, str):
        return value if "\x00" not in value and _is_encodable(value) else _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def to_json(value: Any) -> str:
    """Write a JSON value on one line, raw UTF-8, safe to store and to frame."""
    text = _encode(value)
    if "\\u0000" in text or not _is_encodable(text):
        text = _encode(storable(value))
    if not text.isascii() and _LINE_BREAK.search(text):
        text = _LINE_BREAK.sub(lambda match: _LINE_BREAKS[match[0]], text)
    return text
