"""The text gate: lets ordinary text through piece by piece and keeps back what may be a call written as text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection

from llm.tool_calls import ELEMENT_BEGIN, WrittenCall, broken_call, calls_in, element_end

MAX_BLANK_CHARS = 100
"""A reply ends where so many blanks begin: small models write them until their token limit when a call is required."""
PROXY_ERROR = "[Error] LiteLLM proxy unavailable"
_FENCE = "```"
_WRAPPERS = ("tool_call", "tool_calls", "tools", "tool_use", "function_call", "tool_response", "tool_result")
"""Elements round calls; in the last two a model copies how results look."""
_OPENER = re.compile(rf"<({'|'.join(_WRAPPERS)})>\s*")
_MAX_CLOSERS = 8
_FENCE_HEAD = re.compile(r"```[\w-]*[ \t]*(?:\r?\n\s*)?")
_KEY = re.compile(r'\{\s*"(\w+)"\s*:')
_KEY_BEGUN = re.compile(r'\{\s*(?:"\w{0,20}(?:"\s*)?)?\Z')
_CALL_KEYS = frozenset(
    {"name", "tool", "tool_name", "tool_calls", "function", "type", "id", "arguments", "args", "parameters"}
)
_CLOSERS = frozenset("}]`>")


class TextGate:
    """Split the text of one streamed reply into text to show at once and calls that were written as text.

    A call may begin where a line begins: a fence, `{`, `[{`, or an element such as `<tool_call>`. What begins so is
    held until it is clear what it is; the pieces shown, joined, are always `text`. Blanks are held until text follows.
    """

    def __init__(self, tool_names: Collection[str], show: Callable[[str], None] | None = None) -> None:
        self._tool_names = frozenset(tool_names)
        self._show = show
        self._held = ""
        self._passed: list[str] = []
        self._line_begins = True
        self._in_fence = False
        self._blanks_matter = False  # they do after text, not at the start of a reply nor after a call
        self.calls: list[WrittenCall] = []
        """The calls found so far."""
        self.is_shown = False
        """Whether text left through `show`: from then on the reply cannot be asked for again."""

    @property
    def text(self) -> str:
        """All text that has passed so far."""
        return "".join(self._passed)

    @property
    def held(self) -> str:
        """What is kept back at the moment."""
        return self._held

    @property
    def ends_with_call(self) -> bool:
        """Whether nothing but blanks followed the last call: it is whole, even when the reply met its token limit."""
        return bool(self.calls) and not self._blanks_matter

    @property
    def is_blank(self) -> bool:
        """Whether the reply has gone over to nothing but blanks; they never become text."""
        return len(self._held) > MAX_BLANK_CHARS and self._held.isspace()

    def feed(self, piece: str) -> None:
        """Take the next piece of the reply and show what is certainly text."""
        self._held += piece
        self._advance(may_end=not _CLOSERS.isdisjoint(piece), final=False)

    def close(self) -> None:
        """Take the end of the reply: what is still held is a call, text, or blanks to drop."""
        self._advance(may_end=True, final=True)

    def _advance(self, *, may_end: bool, final: bool) -> None:
        """Judge what is held, line by line; `may_end` = a held call may be complete now, so reading it is worth it."""
        ready: list[str] = []
        while self._held:
            if not self._line_begins:
                self._take(ready, self._held.find("\n") + 1 or len(self._held))
                continue
            start = self._held.lstrip()
            if not start:
                if final and self._blanks_matter and not self.is_blank:
                    self._take(ready, len(self._held))
                break
            size = self._text_size(start, may_end=may_end or final, final=final)
            if size is None:
                break
            if size:
                self._take(ready, len(self._held) - len(start) + size)
        if ready:
            self._passed += ready
            if self._show is not None:
                self.is_shown = True
                self._show("".join(ready))

    def _take(self, ready: list[str], size: int) -> None:
        piece, self._held = self._held[:size], self._held[size:]
        ready.append(piece)
        self._line_begins = piece.endswith("\n")
        self._blanks_matter = True

    def _text_size(self, start: str, *, may_end: bool, final: bool) -> int | None:
        """Say how many characters of `start` are text for certain; None = wait; 0 = a call was taken away."""
        line = start.find("\n") + 1 or len(start)
        if not self._passed and not self.calls and _is_alike(start, PROXY_ERROR):
            return line if final else None
        if not self._tool_names or start[0] not in "`{[<":
            return line
        if start[0] == "`":
            if not start.startswith(_FENCE):
                return None if _FENCE.startswith(start) and not final else line
            if self._in_fence:
                self._in_fence = False
                return line
            return self._fence_size(start, line, may_end=may_end, final=final)
        if self._in_fence:
            return line
        if start[0] == "<":
            return self._tag_size(start, line, may_end=may_end, final=final)
        return self._json_size(start, line, may_end=may_end, final=final)

    def _fence_size(self, start: str, line: int, *, may_end: bool, final: bool) -> int | None:
        head = _FENCE_HEAD.match(start)
        inner = start[head.end() :] if head else ""
        if not inner and not final:
            return None
        if inner and _may_be_call(inner):
            end = _end_of_json(inner) if may_end else None
            fence = inner.find(_FENCE, end) if end is not None else -1
            if fence < 0 and not final:
                return None
            if end is None:  # only at the end of the reply: its JSON has an error
                fence = inner.rfind(_FENCE)
            calls = self._read(inner if fence < 0 else inner[:fence])
            if calls:
                return self._take_calls(calls, "" if fence < 0 else inner[fence + len(_FENCE) :])
        self._in_fence = True
        return line

    def _tag_size(self, start: str, line: int, *, may_end: bool, final: bool) -> int | None:
        if _is_alike(start, ELEMENT_BEGIN):
            end = element_end(start) if may_end else None
            if end is not None:
                calls = calls_in(start[:end], self._tool_names)
                return self._take_calls(calls, start[end:]) if calls else end
            return line if final else None
        opener = _OPENER.match(start)
        if opener is None:
            may_open = any(f"<{name}>".startswith(start) for name in _WRAPPERS)
            return None if may_open and not final else line
        inner = start[opener.end() :]
        if inner and not (_is_alike(inner, ELEMENT_BEGIN) or _may_be_call(inner)):
            return line
        closer = f"</{opener[1]}>"
        end = inner.find(closer) if may_end else -1
        for _ in range(_MAX_CLOSERS):  # an argument may hold the closing tag itself
            if end < 0:
                break
            calls = self._read(inner[:end])
            if calls:
                return self._take_calls(calls, inner[end + len(closer) :])
            end = inner.find(closer, end + 1)
        if not final:
            return None
        calls = self._read(inner)
        return self._take_calls(calls, "") if calls else line

    def _json_size(self, start: str, line: int, *, may_end: bool, final: bool) -> int | None:
        if not _may_be_call(start):
            return line
        end = _end_of_json(start) if may_end else None
        if end is None:
            broken = self._read(start) if final else None
            return self._take_calls(broken, "") if broken else line if final else None
        calls = calls_in(start[:end], self._tool_names)
        return self._take_calls(calls, start[end:]) if calls else end

    def _read(self, text: str) -> list[WrittenCall] | None:
        calls = calls_in(text, self._tool_names)
        if calls is None:
            broken = broken_call(text, self._tool_names)
            calls = [broken] if broken is not None else None
        return calls

    def _take_calls(self, calls: list[WrittenCall], rest: str) -> int:
        self.calls += calls
        self._held = rest
        self._line_begins = True
        self._blanks_matter = False
        return 0


def _is_alike(text: str, pattern: str) -> bool:
    """Whether `text` begins with `pattern` or may still come to do so."""
    return text.startswith(pattern) or pattern.startswith(text)


def _end_of_json(text: str) -> int | None:
    """Find the end of the JSON value that `text` begins with, None when it is not complete."""
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return end


def _may_be_call(text: str) -> bool:
    """Whether `text`, which may be only the beginning of a value, can still turn out to be a call in JSON."""
    if text[0] == "[":
        inner = text[1:].lstrip()
        return not inner or (inner[0] == "{" and _may_be_call(inner))
    if text[0] != "{":
        return False
    key = _KEY.match(text)
    return key.group(1) in _CALL_KEYS if key else _KEY_BEGUN.match(text) is not None
