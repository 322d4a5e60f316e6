"""Splits shell text into simple commands, approximately: also a line that cannot be parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_SCANNED = 65_536
MAX_PARTS = 400
MAX_DEPTH = 6

_BLANKS = " \t\r\v\f"
_ENDS = ";|&\n()"
_REDIRECT = re.compile(r"(?:[0-9]*|&)(?:>>|>\||>&|<>|>|<<<|<<-?|<&|<)")
_ANSI = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "e": "\x1b", "a": "\a"}
_ESCAPE = re.compile(r"x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|([0-7]{1,3})")


@dataclass
class Part:
    """One simple command."""

    words: list[str] = field(default_factory=list)
    redirects: list[tuple[str, str]] = field(default_factory=list)
    """Operator without its number, and target."""
    inner: list[Part] = field(default_factory=list)
    """The commands of its substitutions."""
    document: str | None = None
    """The text of a here-document or here-string that it reads."""
    pipeline: int = 0
    """Parts with the same number feed each other."""


class Overflow(Exception):
    """The text is too long or nested too deeply to be examined."""


def cut(text: str, depth: int = 0) -> list[Part]:
    """Split a text into its simple commands; raise Overflow where it is too large to examine."""
    if len(text) > MAX_SCANNED or depth > MAX_DEPTH:
        raise Overflow
    return _Cutter(text, depth).run()


class _Cutter:
    def __init__(self, text: str, depth: int) -> None:
        self._text, self._depth = text, depth
        self._at = 0
        self._parts: list[Part] = []
        self._part = Part()
        self._word: list[str] | None = None
        self._pipeline = 0
        self._documents: list[tuple[str, Part]] = []
        self._redirect: str | None = None

    def run(self) -> list[Part]:
        """Scan the text once."""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in _BLANKS:
                self._end_word()
                self._at += 1
            elif character == "#" and self._word is None:
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._word is None and (found := _REDIRECT.match(self._text, self._at)):
                self._open_redirect(found)
            elif character in "<>" and self._text[self._at + 1 : self._at + 2] != "(":
                self._end_word()
            elif character in _ENDS:
                self._end_part(character)
            else:
                self._read(character)
        self._end_part("\n")
        return self._parts

    def _open_redirect(self, found: re.Match[str]) -> None:
        operator = found.group().lstrip("0123456789")
        if operator in {"<", ">"} and self._text[found.end() : found.end() + 1] == "(":
            self._substitute(found.end() + 1, ")", stands_as="<()")
            return
        self._at = found.end()
        self._redirect = operator

    def _read(self, character: str) -> None:
        """Read a piece of a word."""
        if self._word is None:
            self._word = []
        text, at = self._text, self._at
        if character == "\\":
            following = text[at + 1 : at + 2]
            if following != "\n":
                self._word.append(following)
            self._at += 2
        elif character == "'":
            self._quoted(at + 1)
        elif text.startswith("$'", at):
            self._ansi(at + 2)
        elif character == '"' or text.startswith('$"', at):
            self._double(at + (1 if character == '"' else 2))
        elif text.startswith("$(", at):
            self._substitute(at + 2, ")")
        elif character == "`":
            self._substitute(at + 1, "`")
        elif text.startswith("${", at):
            end = text.find("}", at)
            end = len(text) if end < 0 else end
            self._inner(text[at + 2 : end])
            self._word.append(text[at : end + 1])
            self._at = end + 1
        else:
            self._word.append(character)
            self._at += 1

    def _quoted(self, start: int) -> None:
        end = self._text.find("'", start)
        end = len(self._text) if end < 0 else end
        assert self._word is not None
        self._word.append(self._text[start:end])
        self._at = end + 1

    def _ansi(self, start: int) -> None:
        """Decode `$'…'`."""
        assert self._word is not None
        at = start
        while at < len(self._text) and self._text[at] != "'":
            if self._text[at] != "\\":
                self._word.append(self._text[at])
                at += 1
                continue
            at += 1
            if found := _ESCAPE.match(self._text, at):
                hexadecimal, unicode, octal = found.groups()
                digits = hexadecimal or unicode
                self._word.append(chr(int(digits, 16) if digits else int(octal, 8)))
                at = found.end()
            else:
                self._word.append(_ANSI.get(self._text[at : at + 1], self._text[at : at + 1]))
                at += 1
        self._at = at + 1

    def _double(self, start: int) -> None:
        assert self._word is not None
        self._at = start
        while self._at < len(self._text) and self._text[self._at] != '"':
            at = self._at
            if self._text.startswith("$(", at):
                self._substitute(at + 2, ")")
            elif self._text[at] == "`":
                self._substitute(at + 1, "`")
            elif self._text[at] == "\\" and self._text[at + 1 : at + 2] in {'"', "\\", "$", "`", "\n"}:
                self._word.append(self._text[at + 1].replace("\n", ""))
                self._at += 2
            else:
                self._word.append(self._text[at])
                self._at += 1
        self._at += 1

    def _substitute(self, start: int, closing: str, stands_as: str = "$()") -> None:
        """Cut the commands of a substitution; a word holds `$()` for what it prints, `<()` for a file of that."""
        end = _closing(self._text, start, closing)
        self._inner(self._text[start:end])
        self._word = [] if self._word is None else self._word
        self._word.append(stands_as)
        self._at = end + 1

    def _inner(self, text: str) -> None:
        self._part.inner += cut(text, self._depth + 1)

    def _end_word(self) -> None:
        if self._word is None:
            return
        word, self._word = "".join(self._word), None
        if self._redirect is None:
            self._part.words.append(word)
            return
        operator, self._redirect = self._redirect, None
        if operator in {"<<", "<<-"}:
            self._documents.append((word, self._part))
        elif operator == "<<<":
            self._part.document = word
        else:
            self._part.redirects.append((operator, word))

    def _end_part(self, character: str) -> None:
        self._end_word()
        self._redirect = None
        part = self._part
        if part.words or part.redirects or part.inner:
            part.pipeline = self._pipeline
            self._parts.append(part)
            if len(self._parts) > MAX_PARTS:
                raise Overflow
        self._part = Part()
        self._at += 1
        is_pipe = character == "|" and self._text[self._at : self._at + 1] != "|"
        if character in "|&" and self._text[self._at : self._at + 1] in {"|", "&"}:
            self._at += 1
        if not is_pipe and character not in "()":
            self._pipeline += 1
        if character == "\n" and self._documents:
            self._read_documents()

    def _read_documents(self) -> None:
        for ending, part in self._documents:
            lines: list[str] = []
            while self._at < len(self._text):
                end = self._text.find("\n", self._at)
                end = len(self._text) if end < 0 else end
                line = self._text[self._at : end]
                self._at = end + 1
                if line.strip() == ending:
                    break
                lines.append(line)
            part.document = "\n".join(lines)
        self._documents = []


def _closing(text: str, start: int, closing: str) -> int:
    """Return where a substitution ends; quotes hide its end."""
    depth, at, quote = 1, start, ""
    while at < len(text):
        character = text[at]
        if character == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif closing == ")" and character == "(":
            depth += 1
        elif character == closing:
            depth -= 1
            if depth == 0:
                return at
        at += 1
    return len(text)
