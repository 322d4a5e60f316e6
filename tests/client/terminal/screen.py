"""The screen of a terminal after it was written to: only what this client's output uses is understood."""

from __future__ import annotations

import re

_PIECE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


def screen_of(raw: str, columns: int, rows: int) -> str:
    """Play what was written; nothing scrolls, so `rows` must suffice."""
    lines: list[str] = [""]
    row = column = 0
    for match in _PIECE.finditer(raw):
        number, letter, returned, fed, text = match.groups()
        if letter == "A":
            row = max(0, row - int(number or 1))
        elif letter == "K":
            lines[row] = ""
        elif returned:
            column = 0
        elif fed:
            row, column = row + 1, 0
            assert row < rows, "the screen is too small"
            lines += [""] * (row + 1 - len(lines))
        elif text:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + text + line[column + len(text) :]
            column += len(text)
            assert column <= columns, f"too long for {columns} columns: {lines[row]}"
    return "\n".join(line.rstrip() for line in lines).rstrip()
