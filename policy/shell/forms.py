"""The read-only commands whose arguments are a language of their own: echo, cd, date, sed, find, and bare versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from policy.shell.lexer import Word
from policy.shell.operands import Place, check_path, check_text
from policy.verdicts.unproven import Doubt

_SED_SCRIPT = re.compile(r"[0-9]{1,9}(?:,[0-9]{1,9})?p")
_OPTION_LIKE = re.compile(r"--?(?:[^-\s]|\Z)")
_ECHO_OPTION = re.compile(r"-[neE]+")

_FIND_FLAGS = frozenset({"-not", "!", "-o", "-a", "-print", "-empty"})
_FIND_VALUES: Mapping[str, re.Pattern[str] | None] = {
    "-name": None,
    "-iname": None,
    "-path": None,
    "-type": re.compile(r"[bcdpflsD](?:,[bcdpflsD])*"),
    "-maxdepth": re.compile(r"[0-9]+"),
    "-mindepth": re.compile(r"[0-9]+"),
    "-size": re.compile(r"[-+]?[0-9]+[bcwkMG]?"),
    "-newer": None,
    "-mtime": re.compile(r"[-+]?[0-9]+"),
}


def check_version(name: str, words: Sequence[Word]) -> None:
    """Only `--version`, alone."""
    if not words:
        raise Doubt("command.operand", f"{name} without an argument does more than read")
    for word in words:
        if word.value != "--version" or len(words) > 1:
            raise Doubt("command.option", f"Of {name}, only --version alone is known to only read", word.span)


def check_echo(words: Sequence[Word], place: Place) -> None:
    """Text; before it only -n, -e and -E."""
    for index, word in enumerate(words):
        if _OPTION_LIKE.match(word.value) and " " not in word.value:
            if not _ECHO_OPTION.fullmatch(word.value):
                raise Doubt("command.option", f"The option {word.value} is not known to only read", word.span)
            continue
        for text in words[index:]:
            check_text(text, place)
            if text.raw == "!":
                raise Doubt("shell.history", "A lone ! is history expansion or a negation", text.span)
        return


def check_cd(words: Sequence[Word], place: Place) -> None:
    """One relative directory."""
    if len(words) != 1 or words[0].value.startswith("-") or words[0].is_glob:
        span = words[-1].span if words else None
        raise Doubt("command.directory", "Only `cd` into one relative directory can be proved", span)
    check_path(words[0], words[0].value, place)


def check_date(words: Sequence[Word]) -> None:
    """`-u` and one `+FORMAT`."""
    formats = 0
    for word in words:
        if word.value.startswith("+") and not word.is_glob and not formats:
            formats += 1
        elif word.value != "-u":
            raise Doubt("command.option", "Of date, only -u and +FORMAT are known to only read", word.span)


def check_sed(words: Sequence[Word], place: Place) -> None:
    """`-n`, one script `Np` or `N,Mp`, and files."""
    if len(words) < 2 or words[0].value != "-n" or not _SED_SCRIPT.fullmatch(words[1].value) or words[1].is_glob:
        span = words[0].span if words else None
        raise Doubt("command.operand", "Of sed, only `sed -n N,Mp` is known to only read", span)
    for word in words[2:]:
        if word.value.startswith("-") and word.value != "-":
            raise Doubt("command.option", f"The option {word.value} is not known to only read", word.span)
        check_path(word, word.value, place)


def check_find(words: Sequence[Word], place: Place) -> None:
    """Starting points, then tests; every action but -print asks."""
    queue = list(reversed(words))
    while queue and not queue[-1].value.startswith("-") and queue[-1].value not in {"!", "(", ")", ","}:
        start = queue.pop()
        check_path(start, start.value, place, reads_content=False)
    while queue:
        test = queue.pop()
        if test.is_glob:
            raise Doubt("shell.glob", "A wildcard among find's tests may become an action", test.span)
        if test.value in _FIND_FLAGS:
            continue
        if test.value not in _FIND_VALUES:
            raise Doubt("command.option", f"{test.value} is not one of find's tests that only read", test.span)
        if not queue:
            raise Doubt("command.option", f"{test.value} lacks its value", test.span)
        _check_find_value(test.value, queue.pop(), place)


def _check_find_value(test: str, word: Word, place: Place) -> None:
    pattern = _FIND_VALUES[test]
    if pattern is not None and not pattern.fullmatch(word.value):
        raise Doubt("command.option", f"{word.value} is not a value of {test}", word.span)
    if pattern is None and (word.value.startswith("-") or word.raw == "!"):
        raise Doubt("command.option", f"The value of {test} looks like an option", word.span)
    if test == "-newer":
        check_path(word, word.value, place)
    check_text(word, place)


FORMS: Mapping[str, Callable[[Sequence[Word], Place], None]] = {
    "echo": check_echo,
    "cd": check_cd,
    "date": lambda words, _place: check_date(words),
    "sed": check_sed,
    "find": check_find,
}
