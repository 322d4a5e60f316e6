"""The name of an offered tool in what a model wrote for it."""

from __future__ import annotations

import re
from collections.abc import Collection

_CUT = re.compile(r"<[|｜].*|\(\s*\)\Z", re.DOTALL)
_PREFIX = re.compile(r"\A.*[.:/](?=[A-Za-z_])")
_COUNTER = re.compile(r"[:#]\d+\Z")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def offered_name(written: str, names: Collection[str]) -> str | None:
    """Map `functions.read_file`, `default_api:read_file`, `readFile`, `read_file<|channel|>…` and the like."""
    if written in names:
        return written
    plain = _COUNTER.sub("", _CUT.sub("", written).strip(" \t\r\n\"'`"))
    if plain in names:
        return plain
    last = _PREFIX.sub("", plain)
    snake = _HUMP.sub("_", last).replace("-", "_").lower()
    for candidate in (last, snake, snake.removeprefix("functions_").removeprefix("default_api_")):
        if candidate in names:
            return candidate
    half = len(last) // 2  # some servers repeat the whole name with each piece
    return last[:half] if last[:half] == last[half:] and last[:half] in names else None
