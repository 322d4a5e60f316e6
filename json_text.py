"""JSON values as text: what may be stored and what may travel on one line (protocol section 1)."""

from __future__ import annotations

import json
import re
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# The gateways split lines at these, so they must never travel raw.
_LINE_BREAKS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_LINE_BREAK = re.compile("[\u0085\u2028\u2029]")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


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
    text = _encode(value)
    if "\\u0000" in text or _UNSTORABLE.search(text):
        text = _encode(storable(value))
    if _LINE_BREAK.search(text):
        text = _LINE_BREAK.sub(lambda match: _LINE_BREAKS[match[0]], text)
    return text
