"""Which characters are safe to show: one definition for commands, paths, tool results and displays."""

from __future__ import annotations

import unicodedata

_IGNORABLE_RANGES = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2065, 0x2065),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0xE0000, 0xE0FFF),
)
"""Code points that draw nothing although Unicode does not call them format characters (Cf)."""


def is_ignorable(character: str) -> bool:
    """Say whether a character draws nothing and is ignored in comparisons by some file systems."""
    number = ord(character)
    if number < 0xAD:
        return False
    return unicodedata.category(character) == "Cf" or any(low <= number <= high for low, high in _IGNORABLE_RANGES)


def is_control(character: str) -> bool:
    """Say whether a character is C0, C1 or DEL."""
    number = ord(character)
    return number < 0x20 or 0x7F <= number < 0xA0


def is_hidden(character: str) -> bool:
    """Say whether a person who reads the text would not see it: control, invisible, bidi, tag, odd blank."""
    if " " <= character <= "~":
        return False
    if is_control(character) or is_ignorable(character):
        return True
    category = unicodedata.category(character)
    return category in {"Zl", "Zp", "Cs", "Co", "Cn"} or (category == "Zs" and character != " ")


def is_shell_character(character: str) -> bool:
    """Say whether a non-ASCII character may stand in a command: letters, marks and digits that draw something."""
    return unicodedata.category(character)[0] in "LMN" and not is_ignorable(character)
