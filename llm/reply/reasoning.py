"""Thoughts that a model writes into its text, `<think>…</think>` at the beginning, kept apart from the answer."""

from __future__ import annotations

import re

_OPEN = ("<think>", "<thinking>", "<reasoning>", "<thought>", "[THINK]")
_CLOSE = re.compile(r"</(?:think|thinking|reasoning|thought)>|\[/THINK\]")
CLOSED_UNOPENED = re.compile(r"\A[^<]*</think>\s")
"""A text whose thoughts were opened by the template of the server: the next replies begin inside thoughts."""
_LONGEST_CLOSE = len("</reasoning>")


class Thoughts:
    """Splits a streamed text: `feed` returns what belongs to the answer, `text` holds the thoughts.

    With `inside` the reply begins in the middle of thoughts, as templates do that write the opening tag themselves.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self._held = ""
        self._state = "inside" if inside else "begin"
        self._is_assumed = inside
        self.text = ""

    def feed(self, piece: str) -> str:
        """Take the next piece of the reply; return the answer's text in it."""
        if self._state == "answer":
            return piece
        self._held += piece
        if self._state == "begin":
            start = self._held.lstrip()
            if not start:
                blanks, self._held = self._held, ""
                return blanks
            opener = next((tag for tag in _OPEN if start.startswith(tag)), None)
            if opener is None:
                if not any(tag.startswith(start) for tag in _OPEN):
                    return self._answer(self._held)
                return ""
            self._held, self._state = start[len(opener) :], "inside"
        closer = _CLOSE.search(self._held)
        if closer is None:
            if not self._is_assumed:  # assumed thoughts may turn out to be the answer, so all of them wait
                keep = max(0, len(self._held) - _LONGEST_CLOSE)
                self.text, self._held = self.text + self._held[:keep], self._held[keep:]
            return ""
        self.text += self._held[: closer.start()]
        return self._answer(self._held[closer.end() :].lstrip())

    def end(self) -> str:
        """Take the end of the reply; return text that was held."""
        if self._state == "inside" and not self._is_assumed:
            self.text, self._held = self.text + self._held, ""
        return self._answer(self._held)

    def _answer(self, text: str) -> str:
        self._state, self._held = "answer", ""
        return text
