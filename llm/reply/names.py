"""The name of an offered tool in what a model wrote for it."""

from __future__ import annotations

import re
from collections.abc import Collection

_RECIPIENT = re.compile(r"\bto=([\w.:/-]+)")
_CUT = re.compile(r"<[|｜].*|\(\s*\)\Z", re.DOTALL)
_PREFIX = re.compile(r"\A.*(?:[.:/>$]|__)(?=[A-Za-z_])", re.DOTALL)
_COUNTER = re.compile(r"[:#_]\d+\Z")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORDS_BEFORE = re.compile(r"\A(?:functions?|tools?|default_api|api)_?")
_WORDS_BEHIND = re.compile(r"_(?:tool|function|call)\Z")


def snake_case(written: str) -> str:
    """Write a name as the catalog writes names: `startLine`, `Start-Line` and `start line` become `start_line`."""
    return re.sub(r"[\s-]+", "_", _HUMP.sub("_", written)).lower()


def offered_name(written: str, names: Collection[str]) -> str | None:
    """Map `functions.read_file`, `mcp__ide__read_file`, `readFile`, `read_file<|channel|>…` and the like."""
    if written in names:
        return written
    addressed = _RECIPIENT.search(written)
    plain = _CUT.sub("", addressed[1] if addressed else written).strip(" \t\r\n\"'`")
    if (counted := _COUNTER.sub("", plain)) in names:
        return counted
    for last in (_PREFIX.sub("", plain), _PREFIX.sub("", counted)):
        snake = snake_case(last)
        bare = _WORDS_BEHIND.sub("", snake)
        for candidate in (last, snake, bare, _WORDS_BEFORE.sub("", bare), _WORDS_BEFORE.sub("", snake)):
            if candidate in names:
                return candidate
        half = len(last) // 2  # some servers repeat the whole name with each piece
        if last[:half] == last[half:] and last[:half] in names:
            return last[:half]
    return None
