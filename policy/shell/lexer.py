"""The lexer of command lines: the small provable language, with the raw text of each word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from policy.verdicts.characters import is_shell_character
from policy.verdicts.unproven import Unproven
from policy.verdicts.verdict import ReasonCode

MAX_LENGTH = 4096

_BLANKS = re.compile(r"[ \t]+")
_REDIRECT = re.compile(r"(?:2>&1|(?:[12]?|&)>[ \t]*/dev/null)(?=[ \t\n;|&]|\Z)")
_COMMENT = re.compile(r"#[^\n]*[ \t\n]*\Z")
"""Only as the last thing of the whole text: nothing may follow that a reader takes for a part of the comment."""
_OPERATOR = re.compile(r"&&|\|\||;|\n|\|(?!&)")
_PLAIN = re.compile(r"[^\x00-\x20\x7f'\"\\$`&|;<>(){}\x80-\U0010ffff]+|[\x80-\U0010ffff]+")
_REFLOG = re.compile(r"(?<=@)\{(?:[A-Za-z0-9_-]|\.(?!\.))+\}")
"""`@{u}`, `stash@{0}`: no comma and no `..`, so no shell expands these braces."""
_FIND_MARKS = {"\\(": "(", "\\)": ")", "\\!": "!"}
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\$`!]|\\(?![$`"\\\n]))*)"')

_REFUSED: dict[str, tuple[ReasonCode, str]] = {
    "$": ("shell.expansion", "A variable or an expansion is only known when the shell runs"),
    "`": ("shell.substitution", "Backticks run another command"),
    "&": ("shell.background", "A single & runs a command in the background"),
    "|": ("shell.redirect", "|& is not part of the provable command language"),
    "<": ("shell.redirect", "Input redirections and here-documents are not provable"),
    ">": ("shell.redirect", "This redirection may write a file"),
    "(": ("shell.subshell", "Parentheses start a subshell or a function"),
    ")": ("shell.subshell", "Parentheses start a subshell or a function"),
    "{": ("shell.brace", "Braces are expanded by the shell"),
    "}": ("shell.brace", "Braces are expanded by the shell"),
    "\\": ("shell.backslash", "An unquoted backslash hides what the shell runs"),
    "'": ("shell.syntax", "A quote is not closed"),
}


@dataclass(frozen=True)
class Word:
    """One word: what was typed and what the shell makes of it."""

    raw: str
    value: str
    start: int
    end: int
    is_glob: bool = False
    """An unquoted `*`, `?` or `[`: the shell may replace the word by file names."""
    has_braces: bool = False
    """Unquoted braces, as in `@{u}`: plain text to every shell, but only git revisions need them."""

    @property
    def span(self) -> tuple[int, int]:
        """The place in the command, in characters."""
        return (self.start, self.end)


@dataclass(frozen=True)
class Token:
    """A word, a control operator, or one of the few harmless redirections."""

    kind: Literal["word", "operator", "redirect"]
    word: Word


def check_text(command: str) -> None:
    """Raise a Unproven for a length or a character that no provable command has."""
    if not command.strip(" \t\n"):
        raise Unproven("shell.syntax", "The command is empty")
    if len(command) > MAX_LENGTH:
        raise Unproven("shell.length", f"The command is longer than {MAX_LENGTH} characters")
    for place, character in enumerate(command):
        if " " <= character <= "~" or character in "\n\t":
            continue
        if character < "\x80":
            raise Unproven("shell.control", "The command holds a control character", (place, place + 1), danger="high")
        if not is_shell_character(character):
            text = "The command holds an invisible or misleading character"
            raise Unproven("shell.character", text, (place, place + 1), danger="high")


def tokens_of(command: str) -> list[Token]:
    """Split a checked command into tokens; raise a Unproven at the first thing outside the language."""
    tokens: list[Token] = []
    place, after_blank = 0, True
    while place < len(command):
        if blanks := _BLANKS.match(command, place):
            place, after_blank = blanks.end(), True
            continue
        if after_blank and (redirect := _REDIRECT.match(command, place)):
            tokens.append(_token("redirect", command, place, redirect.end()))
            place, after_blank = redirect.end(), False
        elif operator := _OPERATOR.match(command, place):
            tokens.append(_token("operator", command, place, operator.end()))
            place, after_blank = operator.end(), True
        elif not after_blank and command[place] not in "<>(){}&":
            raise Unproven("shell.syntax", "Two parts of the line touch", (place, place + 1))
        elif after_blank and _COMMENT.match(command, place):
            break
        else:
            word = _find_mark(command, place) or _word(command, place)
            tokens.append(Token("word", word))
            place, after_blank = word.end, False
    return tokens


def _token(kind: Literal["operator", "redirect"], command: str, start: int, end: int) -> Token:
    raw = re.sub(r"[ \t]", "", command[start:end])
    return Token(kind, Word(raw, raw, start, end))


def _find_mark(command: str, start: int) -> Word | None:
    """Read `\\(`, `\\)` or `\\!` as a word of its own."""
    raw = command[start : start + 2]
    if raw in _FIND_MARKS and command[start + 2 : start + 3] in {"", " ", "\t", "\n", ";", "|", "&"}:
        return Word(raw, _FIND_MARKS[raw], start, start + 2)
    return None


def _word(command: str, start: int) -> Word:
    """Read one word: plain parts, '…' and "…" that touch."""
    place, values, glob_at, has_braces = start, [], -1, False
    while place < len(command):
        if plain := _PLAIN.match(command, place):
            text = plain.group()
            if glob_at < 0 and (found := re.search(r"[*?\[]", text)):
                glob_at = place + found.start()
            values.append(text)
            place = plain.end()
        elif braces := _REFLOG.match(command, place):
            values.append(braces.group())
            place, has_braces = braces.end(), True
        elif quoted := _SINGLE.match(command, place) or _DOUBLE.match(command, place):
            values.append(quoted.group(1))
            place = quoted.end()
        elif command[place] in " \t\n;|" or command.startswith("&&", place):
            break
        else:
            raise _refusal(command, place)
    raw = command[start:place]
    word = Word(raw, "".join(values), start, place, glob_at >= 0 and raw != "[", has_braces)
    _check_edges(word, glob_at == start and raw != "[")
    return word


def _refusal(command: str, place: int) -> Unproven:
    character = command[place]
    if character == '"':
        return _double_quote_refusal(command, place)
    code, text = _REFUSED[character]
    if command.startswith("$(", place):
        code, text = "shell.substitution", "A command substitution runs another command"
    if command.startswith(("<(", ">("), place):
        code, text = "shell.substitution", "A process substitution runs another command"
    return Unproven(code, text, (place, place + 1))


def _double_quote_refusal(command: str, start: int) -> Unproven:
    place = start + 1
    while place < len(command) and command[place] != '"':
        character = command[place]
        if character in "$`":
            return _refusal(command, place)
        if character == "!":
            return Unproven("shell.history", "The shell may expand ! inside double quotes", (place, place + 1))
        if character == "\\" and command[place + 1 : place + 2] in {"$", "`", '"', "\\", "\n"}:
            return Unproven("shell.backslash", "A backslash inside double quotes changes the text", (place, place + 1))
        place += 1
    return Unproven("shell.syntax", "A quote is not closed", (start, start + 1))


def _check_edges(word: Word, glob_first: bool) -> None:
    """Refuse what the shell interprets at the edges of a word: home folders, history, comments, globs like options."""
    first = word.raw[:1]
    if first == "~" or re.search(r"[=:]~", word.raw):
        raise Unproven("shell.tilde", "A leading ~ leads out of the workspace", word.span)
    if first == "!" and word.raw not in {"!", "!="}:
        raise Unproven("shell.history", "A leading ! is history expansion or a negation", word.span)
    if first == "#":
        raise Unproven("shell.comment", "A comment can only be proved at the end of the text", word.span)
    if first == "=" and word.raw not in {"=", "=="}:
        raise Unproven("shell.expansion", "A leading = is expanded by zsh", word.span)
    if glob_first:
        text = "A word that begins with a wildcard may become an option: a file can be named like one"
        raise Unproven("shell.glob", text, word.span)
