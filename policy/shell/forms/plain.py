"""The small forms: echo, cd, date, printf, seq, type, and bare versions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from policy.shell.lexer import Word
from policy.shell.operands import Place, check_path, check_text
from policy.verdicts.unproven import Unproven

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_SEQ_NUMBER = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?")
_TEXT_FORMAT = re.compile(r"(?:[^%]|%%|%-?[0-9]{0,4}(?:\.[0-9]{1,4})?[sbcq])*", re.DOTALL)
_OPTION_LIKE = re.compile(r"--?(?:[^-\s]|\Z)")
_ECHO_OPTION = re.compile(r"-[neE]+")


def check_version(name: str, words: Sequence[Word]) -> None:
    """Only `--version`, alone."""
    if not words:
        raise Unproven("command.operand", f"{name} without an argument does more than read")
    for word in words:
        if word.value != "--version" or len(words) > 1:
            raise Unproven("command.option", f"Of {name}, only --version alone is known to only read", word.span)


def check_echo(words: Sequence[Word], place: Place) -> None:
    """Text; before it only -n, -e and -E."""
    for index, word in enumerate(words):
        if _OPTION_LIKE.match(word.value) and " " not in word.value:
            if not _ECHO_OPTION.fullmatch(word.value):
                raise Unproven("command.option", f"The option {word.value} is not known to only read", word.span)
            continue
        for text in words[index:]:
            check_text(text, place)
        return


def check_cd(words: Sequence[Word], place: Place) -> None:
    """One relative directory."""
    if len(words) != 1 or words[0].value.startswith("-") or words[0].is_glob:
        span = words[-1].span if words else None
        raise Unproven("command.directory", "Only `cd` into one relative directory can be proved", span)
    check_path(words[0], words[0].value, place)


def check_date(words: Sequence[Word], _place: Place) -> None:
    """`-u` and one `+FORMAT`."""
    formats = 0
    for word in words:
        if word.value.startswith("+") and not word.is_glob and not formats:
            formats += 1
        elif word.value != "-u":
            raise Unproven("command.option", "Of date, only -u and +FORMAT are known to only read", word.span)


def check_printf(words: Sequence[Word], place: Place) -> None:
    """A format without numbers and `%n` (some shells evaluate what they format), and texts."""
    has_end = bool(words) and words[0].value == "--"
    rest = list(words[1:] if has_end else words)
    if not rest or (rest[0].value.startswith("-") and not has_end):
        span = rest[0].span if rest else None
        raise Unproven("command.option", "printf -v sets a variable, and its subscript is executed", span)
    for word in rest:
        check_text(word, place)
    if not _TEXT_FORMAT.fullmatch(rest[0].value):
        raise Unproven("command.operand", "Of printf's formats, only texts are known to only print", rest[0].span)


def check_seq(words: Sequence[Word], place: Place) -> None:
    """One to three numbers, with `-w` and `-s TEXT` before them."""
    numbers = 0
    queue = list(reversed(words))
    while queue:
        word = queue.pop()
        if word.value == "-s" and queue and not queue[-1].value.startswith("-"):
            check_text(queue.pop(), place)
        elif _SEQ_NUMBER.fullmatch(word.value):
            numbers += 1
        elif word.value != "-w":
            raise Unproven(
                "command.option", f"{word.value} is no number and no option of seq that only prints", word.span
            )
    if not 1 <= numbers <= 3:
        raise Unproven("command.operand", "seq takes one to three numbers", words[0].span if words else None)


def check_type(words: Sequence[Word], _place: Place) -> None:
    """Bare names, after `-a`, `-t` and `-p`."""
    names = [word for word in words if not word.value.startswith("-")]
    for word in words:
        if word in names and (word.raw != word.value or not _NAME.fullmatch(word.raw)):
            raise Unproven("command.operand", "type takes bare names", word.span)
        if word not in names and not re.fullmatch(r"-[atp]+", word.value):
            raise Unproven("command.option", f"The option {word.value} is not known to only read", word.span)
