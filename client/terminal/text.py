"""Untrusted text as rich text: it cannot move the cursor, hide itself, or be read as markup."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from policy.verdicts.display import escape_display

TAB = "→   "


def shown(text: str, style: str = "", *, show_tabs: bool = False) -> Text:
    """Escape what a person cannot see; tabs become blanks, or arrows where the difference matters."""
    tab = TAB if show_tabs else "    "
    return Text(escape_display(text.replace("\t", tab)), style=style, overflow="fold")


def first_lines(text: str, max_lines: int, max_chars: int, style: str = "", *, show_tabs: bool = False) -> Text:
    """Show the beginning of a text and say how much follows."""
    lines = text.split("\n")
    head = "\n".join(lines[:max_lines])
    cut = head[:max_chars]
    result = shown(cut, style, show_tabs=show_tabs)
    left_out = len(text) - len(cut)
    if left_out:
        result.append(f"\n… {left_out} more characters" if len(cut) == len(head) else f"… {left_out} more characters")
    return result


def counted(number: object, noun: str, plural: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def entries(value: object) -> list[dict[str, Any]]:
    """Give the objects of a list that a server sent; whatever else it holds is passed over."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
