"""How a command or a path is shown to a person: hidden and text-moving characters are escaped."""

from __future__ import annotations

from policy.verdicts.characters import is_hidden

_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\x1b": "\\x1b"}


def escape_display(text: str) -> str:
    r"""Escape control, invisible, bidi and tag characters visibly (`\u202e`); a line feed stays a line feed."""
    return "".join(character if character == "\n" else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    if not is_hidden(character):
        return character
    if character in _NAMED:
        return _NAMED[character]
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def shorten_display(text: str, limit: int) -> str:
    """Cut an escaped text and always say how much is left out: padding must not hide the tail of a command."""
    shown = escape_display(text)
    return shown if len(shown) <= limit else f"{shown[:limit]}… {len(shown) - limit} more characters"
