"""The text of a reply as it streams: thoughts kept apart, what may be a call at its end held, the rest shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection

from llm.reply.lead_in import MAX_LEAD_CHARS, announces_call
from llm.reply.syntaxes import FENCES, broken_call, calls_in
from llm.tool_calls import WrittenCall

_OPEN = (
    *("<think>", "<thinking>", "<reasoning>", "<thought>", "<seed:think>", "[THINK]", "◁think▷", "<|START_THINKING|>"),
    *("<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>analysis<|message|>"),
)
_FINAL = ("<|channel|>final<|message|>", "<|start|>assistant<|channel|>final<|message|>", "<|START_RESPONSE|>")
"""Marks with which some models begin their answer."""
_CLOSE = re.compile(
    r"</(?:think|thinking|reasoning|thought|seed:think)>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>"
    r"|<\|end\|>|(?=<\|channel\|>(?:final|commentary))"
)
CLOSED_UNOPENED = re.compile(r"\A[^<]*</think>\s")
"""A text whose thoughts were opened by the template of the server: the next replies begin inside thoughts."""
_LONGEST_CLOSE = len("<|channel|>commentary")
_LAST = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|endoftext|>",
    "<|end|>",
    "<|return|>",
    "<|END_RESPONSE|>",
    "<end_of_turn>",
    "</s>",
)
"""Tokens with which a template ends a reply; a server that knows them does not pass them on."""
MAX_BLANK_CHARS = 100
"""A reply ends where so many blanks begin: small models write them until their token limit when a call is required."""
PROXY_ERROR = "[Error] LiteLLM proxy unavailable"
_MARKS = (
    "<tool_call>", "<tool_calls>", "<tools>", "<tool_use>", "<tool_response>", "<tool_result>",
    "<function_call>", "<function_calls>", "<function=", "<function name=", "<invoke name=",
    "<|python_tag|>", "<|tool_call|>", "<|tool_call_start|>", "<|tool_calls_section_begin|>", "<|tool_call_begin|>",
    "<minimax:tool_call>", "<seed:tool_call>", "<TOOLCALL>", "<｜DSML｜function_calls>", "<｜DSML｜invoke name=",
    "<|START_ACTION|>", "<|action_start|>", "<|tools_prefix|>", "<｜tool_calls_begin｜>",
    "<|channel|>commentary", "<|start|>assistant<|channel|>commentary",
    "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "[TOOL_CALLS]", "functools[",
)  # fmt: skip
"""Begin a call wherever they stand; the other beginnings count only where a line begins."""
_MARK_BEGINNINGS = frozenset(mark[0] for mark in _MARKS)
_LONGEST_MARK = max(map(len, _MARKS))
_MARK = re.compile("|".join(map(re.escape, _MARKS)))
_PLAIN = re.compile(rf"[^\n{re.escape(''.join(_MARK_BEGINNINGS))}]*\S[^\n{re.escape(''.join(_MARK_BEGINNINGS))}]*")
"""A piece in which nothing can begin that is held back, where the line has begun before it."""
_FENCE = re.compile(rf"```(?:{FENCES})?[ \t]*(?:\r?\n|(?=[\[{{<]))", re.IGNORECASE)
_FENCE_BEGUN = re.compile(r"`{1,2}\Z|```[\w-]{0,14}[ \t]*\Z")
_WORD = re.compile(r"\S")
_START_CHARS = 4096
"""So much of a line is looked at to say whether a call begins there."""
_ELEMENT_START = re.compile(r"<(\w*)(>?)")
_KEY = re.compile(r'\{\s*"(\w+)"\s*:')
_KEY_BEGUN = re.compile(r'\{\s*(?:"\w{0,20}(?:"\s*)?)?\Z')
_CALL_KEYS = frozenset(
    {"name", "tool", "tool_name", "tool_calls", "tool_call", "function", "function_call", "type", "id", "action"}
    | {"arguments", "args", "parameters"}
)
_NEXT = re.compile(r"[\s,;)\]]*(?:```|<|\[|\{|Action:|\Z)")
"""What may follow a call: another one, a closing mark, or the end."""


class Thoughts:
    """Splits a streamed text: `feed` returns what belongs to the answer, `text` holds the thoughts.

    With `inside` the reply begins in the middle of thoughts, as templates do that write the opening tag themselves.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self._held = ""
        self._state = "inside" if inside else "begin"
        self._is_assumed = inside
        self._has_thought = False
        self.text = ""

    def feed(self, piece: str) -> str:
        """Take the next piece of the reply; return the answer's text in it."""
        if self._state == "answer":
            return self._before_last(piece)
        self._held += piece
        if self._state == "begin":
            start = self._held.lstrip()
            if not start:
                blanks, self._held = self._held, ""
                return "" if self._has_thought else blanks
            opener = next((tag for tag in _OPEN + _FINAL if start.startswith(tag)), None)
            if opener is None:
                if not any(tag.startswith(start) for tag in _OPEN + _FINAL):
                    return self._answer(start if self._has_thought else self._held)
                return ""
            if opener in _FINAL:
                return self._answer(start[len(opener) :])
            self._held, self._state = start[len(opener) :], "inside"
        closer = _CLOSE.search(self._held)
        if closer is None:
            if not self._is_assumed:  # assumed thoughts may turn out to be the answer, so all of them wait
                keep = max(0, len(self._held) - _LONGEST_CLOSE)
                self.text, self._held = self.text + self._held[:keep], self._held[keep:]
            return ""
        self.text += self._held[: closer.start()]
        rest, self._held = self._held[closer.end() :], ""
        self._state, self._has_thought, self._is_assumed = "begin", True, False
        return self.feed(rest)

    def end(self) -> str:
        """Take the end of the reply; return text that was held."""
        if self._state == "inside" and not self._is_assumed:
            self.text, self._held = self.text + self._held, ""
        rest = self._held if self._state == "answer" else self._answer(self._held) + self._held
        self._held = ""
        return next((rest.rstrip().removesuffix(token) for token in _LAST if rest.rstrip().endswith(token)), rest)

    def _answer(self, text: str) -> str:
        self._state, self._held = "answer", ""
        return self._before_last(text)

    def _before_last(self, piece: str) -> str:
        """Hold what may be the token that ends the reply, until more text or the end comes."""
        text = self._held + piece
        tail = text.rfind("<")
        held = text[tail:].rstrip() if tail >= 0 else ""
        if not held or not any(token.startswith(held) for token in _LAST):
            self._held = ""
            return text
        self._held = text[tail:]
        return text[:tail]


class ReplyText:
    """Part the text of one streamed reply into what is shown at once and calls that were written as its end.

    With `text_calls` a call is taken when nothing follows it and at most a short announcement stands before it
    (`lead_in.py`); otherwise it stays in the text. The pieces shown, joined, are always `text`. Blanks wait for text.
    """

    def __init__(
        self,
        tool_names: Collection[str] = (),
        show: Callable[[str], None] | None = None,
        *,
        text_calls: bool = True,
    ) -> None:
        self._tool_names = frozenset(tool_names)
        self._show = show
        self._seeks_call = text_calls and bool(tool_names)
        self._held = ""
        self._passed: list[str] = []
        self._lead_chars = 0
        self._line_begins = True
        self._is_candidate = False
        self._next_try = 0
        self.calls: list[WrittenCall] = []
        """The calls that were taken, known after `close`."""
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
    def is_blank(self) -> bool:
        """Whether the reply has gone over to nothing but blanks; they never become text."""
        return len(self._held) > MAX_BLANK_CHARS and self._held[-MAX_BLANK_CHARS - 1 :].isspace()

    def feed(self, piece: str) -> None:
        """Take the next piece of the reply and show what is certainly text."""
        if self._passed and not self._held and not self._line_begins and _PLAIN.fullmatch(piece):
            self._pass([piece], len(piece))
            return
        self._held += piece
        self._advance(final=False)

    def close(self) -> None:
        """Take the end of the reply: what is still held is a call, text, or blanks to drop."""
        self._advance(final=True)

    def _advance(self, *, final: bool) -> None:
        ready: list[str] = []
        while self._held:
            size = self._candidate_size(final=final) if self._is_candidate else self._text_size(final=final)
            if not size:
                break
            ready.append(self._held[:size])
            self._held = self._held[size:]
            self._line_begins = ready[-1].endswith("\n")
        if ready:
            self._pass(ready, sum(map(len, ready)))

    def _pass(self, ready: list[str], chars: int) -> None:
        self._lead_chars += chars
        self._passed += ready
        if self._show is not None:
            self.is_shown = True
            self._show("".join(ready))

    def _text_size(self, *, final: bool) -> int:
        """Say how many characters of what is held are text for certain; 0 = wait, or a candidate begins."""
        held = self._held
        body = held.rstrip()
        if not body:
            return len(held) if final and self._passed and not self.is_blank else 0
        if not self._passed and (start := held.lstrip()) and _is_alike(start, PROXY_ERROR) and not final:
            return 0
        if self._seeks_call and self._lead_chars <= MAX_LEAD_CHARS:
            begin, is_whole = self._candidate_begin(held)
            if begin == 0 and is_whole:
                self._is_candidate = True
                return self._candidate_size(final=final)
            if begin is not None and (is_whole or not final):
                return begin
        else:
            self._seeks_call = False
        line = held.find("\n", len(body))
        return len(held) if final and not self.is_blank else line + 1 or len(held)

    def _candidate_begin(self, held: str) -> tuple[int | None, bool]:
        """Where a call may begin, blanks before it included, and whether its first mark is whole."""
        found = _MARK.search(held)
        begin = found.start() if found else None
        position = 0 if self._line_begins else held.find("\n") + 1 or len(held)
        while position < len(held) and (begin is None or position < begin):
            if position > MAX_LEAD_CHARS:
                return None, False  # no announcement is so long
            word = _WORD.search(held, position)
            if word is None:
                break
            at = word.start()
            start = held[at : at + _START_CHARS]
            kind = _line_start(start) or self._element_start(start)
            if kind is not None:
                return self._from(position, held[:at]), kind == "whole"
            position = held.find("\n", at) + 1 or len(held)
        if begin is not None:
            return self._from(begin, held[:begin]), True
        for tail in range(max(0, len(held) - _LONGEST_MARK), len(held)):
            if held[tail] in _MARK_BEGINNINGS and any(mark.startswith(held[tail:]) for mark in _MARKS):
                return self._from(tail, held[:tail]), False
        return None, False

    def _element_start(self, start: str) -> str | None:
        """Whether a line begins with an element that is named like a tool; as `_line_start`."""
        found = _ELEMENT_START.match(start)
        if found is None:
            return None
        if found[2]:
            return "whole" if found[1] in self._tool_names else None
        is_begun = found.end() == len(start) and any(name.startswith(found[1]) for name in self._tool_names)
        return "begun" if is_begun else None

    def _from(self, position: int, before: str) -> int:
        """Where a candidate begins: blanks at the very beginning of a reply belong to it."""
        return position if before.strip() or self._passed else 0

    def _candidate_size(self, *, final: bool) -> int:
        """Judge what is held as a call: 0 = it waits or was taken, else it is text to its end."""
        held = self._held
        if not final:
            if len(held) < self._next_try:
                return 0
            self._next_try = len(held) * 5 // 4 + 16  # reading it again with every piece would cost the square
            if not _is_over(held.lstrip()):
                return 0
        elif announces_call(self.text):
            calls = calls_in(held.strip(), self._tool_names)
            if calls is None:
                broken = broken_call(held.strip(), self._tool_names)
                calls = [broken] if broken is not None else None
            if calls:
                self.calls, self._held = calls, ""
                return 0
        self._is_candidate = self._seeks_call = False
        return self._text_size(final=final)


def _line_start(start: str) -> str | None:
    """Whether a line begins like a call: `whole`, `begun` when only more of it can tell, or None."""
    if start[0] == "`":
        return "whole" if _FENCE.match(start) else "begun" if _FENCE_BEGUN.match(start) else None
    if start[0] in "{[":
        return "whole" if _may_be_json_call(start) else None
    if start.startswith("Action:"):
        return "whole"
    return "begun" if "Action:".startswith(start) else None


def _is_alike(text: str, pattern: str) -> bool:
    """Whether `text` begins with `pattern` or may still come to do so."""
    return text.startswith(pattern) or pattern.startswith(text)


def _may_be_json_call(text: str) -> bool:
    """Whether `text`, which may be only the beginning of a value, can still turn out to be a call."""
    if text[0] == "[":
        inner = text[1:].lstrip()
        is_other = inner[:1] == "{" and _may_be_json_call(inner)
        return not inner or is_other or re.match(r"[A-Za-z_][\w.]*(?:\(|\Z)", inner) is not None
    if text[0] != "{":
        return False
    key = _KEY.match(text)
    return key.group(1) in _CALL_KEYS if key else _KEY_BEGUN.match(text) is not None


def _is_over(start: str) -> bool:
    """Whether a candidate has turned out to be text: its JSON calls nothing, or other words follow it."""
    fence = _FENCE.match(start)
    inner = start[fence.end() :].lstrip() if fence else start
    if not inner or inner[0] not in "{[" or _MARK.match(inner):
        return False
    if not _may_be_json_call(inner):
        return True
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(inner)
    except (ValueError, RecursionError):
        return False
    rest = inner[end:]
    closing = rest.find("```") if fence else -1
    if fence and closing < 0:
        return bool(rest.strip(" \t\r\n`,;")) and not rest.lstrip(" \t\r\n,;").startswith(("{", "["))
    return bool(rest.strip()) and _NEXT.match(rest[closing + 3 :] if closing >= 0 else rest) is None
