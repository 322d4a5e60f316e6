"""A tool's output as a model reads it: without hidden characters, and up to a limit."""

from __future__ import annotations

from policy.verdicts.characters import is_control, is_ignorable

_HEAD_SHARE = 0.3
"""The share of the beginning; errors are at the end of an output more often."""


def clean_result(text: str) -> str:
    """Remove control, bidi, zero-width and tag characters; line feeds, tabs and emoji variants stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character for character in text if not _is_unwanted(character))


def _is_unwanted(character: str) -> bool:
    if " " <= character <= "~" or character in "\n\t\ufe0e\ufe0f":
        return False
    return is_control(character) or is_ignorable(character) or character in "\u2028\u2029" or _is_surrogate(character)


def _is_surrogate(character: str) -> bool:
    return 0xD800 <= ord(character) <= 0xDFFF


def cap(text: str, limit: int) -> str:
    """Keep the first 30 % and the last 70 % of `limit` characters, with a marker that says how many are left out."""
    if len(text) <= limit:
        return text
    head = int(limit * _HEAD_SHARE)
    tail = limit - head
    return (
        f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[len(text) - tail :] if tail else ''}"
    )
