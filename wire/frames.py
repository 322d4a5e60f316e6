"""Chunks as JSON text: what the event log stores and what the stream carries (protocol section 1)."""

from __future__ import annotations

import json
import re
from typing import Any

from wire.protocol import Chunk

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# The gateways split lines at these, so they must never travel raw.
_LINE_BREAKS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_LINE_BREAK = re.compile("[\u0085\u2028\u2029]")
_FIELDS: dict[str, Any] = {
    name: field.default if name in ("is_final", "requires_approval") else None
    for name, field in Chunk.model_fields.items()
}


def storable(value: Any) -> Any:
    """Replace U+0000 and lone surrogates by U+FFFD in every string of a JSON value."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def to_json(value: Any) -> str:
    """Write a JSON value on one line, raw UTF-8, safe to store and to frame."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "\\u0000" in text or _UNSTORABLE.search(text):
        text = json.dumps(storable(value), ensure_ascii=False, separators=(",", ":"))
    if _LINE_BREAK.search(text):
        text = _LINE_BREAK.sub(lambda match: _LINE_BREAKS[match[0]], text)
    return text


def pack(chunk: Chunk) -> dict[str, Any]:
    """Reduce a chunk to the fields that are set: the form of the event log."""
    fields = chunk.__dict__
    return {name: fields[name] for name, unused in _FIELDS.items() if fields[name] is not unused}


def unpack(packed: dict[str, Any]) -> dict[str, Any]:
    """Restore all fields of a packed chunk, in the order of the protocol."""
    return {name: packed.get(name, unused) for name, unused in _FIELDS.items()}
