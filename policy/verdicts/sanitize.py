"""A tool's output as a model reads it: without hidden characters, and up to a limit."""

from __future__ import annotations

import re

_HEAD_SHARE = 0.3
"""The share of the beginning; errors are at the end of an output more often."""


_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\n\t"})
_UNWANTED_RANGES = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x600, 0x605), (0x61C, 0x61C),
    (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xD800, 0xDFFF),
    (0xFE00, 0xFE0D), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x110BD, 0x110BD), (0x110CD, 0x110CD),
    (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""The characters that `policy.verdicts.characters` calls control or ignorable, line separators and surrogates, written
out: asking it about each character of a result of 8 MB would stop the event loop for a second."""
_UNWANTED = re.compile("[" + "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in _UNWANTED_RANGES) + "]")


def clean_result(text: str) -> str:
    """Remove control, bidi, zero-width and tag characters; line feeds, tabs and emoji variants stay."""
    if text.isascii():
        return text if text.isprintable() else text.encode().translate(None, _CONTROLS).decode()
    return _UNWANTED.sub("", text)


def cap(text: str, limit: int) -> str:
    """Keep the first 30 % and the last 70 % of `limit` characters, with a marker that says how many are left out."""
    if len(text) <= limit:
        return text
    head = int(limit * _HEAD_SHARE)
    tail = limit - head
    return (
        f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[len(text) - tail :] if tail else ''}"
    )
