"""`test` and `[ … ]`: files, texts and whole numbers compared; never `-v` and `-R`, whose subscripts are executed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from policy.shell.always_ask import names_of
from policy.shell.lexer import Word
from policy.shell.operands import Place, check_path
from policy.verdicts.unproven import Unproven

_FILE_TESTS = names_of("-b -c -d -e -f -g -h -k -p -r -s -u -w -x -G -L -N -O -S")
_TEXT_TESTS = names_of("-n -z")
_FILE_PAIRS = names_of("-nt -ot -ef")
_NUMBER_PAIRS = names_of("-eq -ne -lt -le -gt -ge")
_TEXT_PAIRS = names_of("= == !=")
_JOINTS = names_of("-a -o")
_NUMBER = re.compile(r"-?[0-9]{1,12}")


def check_test(words: Sequence[Word], place: Place) -> None:
    """Raise a Unproven unless the words are conditions of this small grammar, joined by -a and -o."""
    rest = list(words)
    if not rest:
        raise Unproven("command.operand", "test without a condition")
    for word in rest:
        if word.value in {"-v", "-R"}:
            raise Unproven("command.option", "The subscript of a variable that test looks at is executed", word.span)
        if word.is_glob:
            raise Unproven("shell.glob", "A wildcard may change what the condition means", word.span)
    while rest:
        while rest and rest[0].raw == "!":
            rest.pop(0)
        rest = rest[_check_one(rest, place) :]
        if rest:
            if rest[0].value not in _JOINTS or len(rest) == 1:
                raise Unproven("command.operand", "The condition cannot be read in one way", rest[0].span)
            rest.pop(0)


def check_bracket(words: Sequence[Word], place: Place) -> None:
    """`[` ends in `]`; between them stands a condition."""
    if not words or words[-1].raw != "]":
        raise Unproven("command.operand", "[ needs a closing ]", words[-1].span if words else None)
    check_test(words[:-1], place)


def _check_one(rest: Sequence[Word], place: Place) -> int:
    """Check the first condition and return how many words it has."""
    if len(rest) >= 3 and rest[1].value in _FILE_PAIRS | _NUMBER_PAIRS | _TEXT_PAIRS:
        left, pair, right = rest[:3]
        for word in (left, right):
            if pair.value in _NUMBER_PAIRS and not _NUMBER.fullmatch(word.value):
                raise Unproven("command.operand", "Some shells evaluate what is compared as a number", word.span)
            if pair.value in _FILE_PAIRS:
                check_path(word, word.value, place, reads_content=False)
            if word.value.startswith("-") and not _NUMBER.fullmatch(word.value):
                raise Unproven("command.option", f"{word.value} may be taken for a test", word.span)
        return 3
    if len(rest) >= 2 and rest[0].value in _FILE_TESTS | _TEXT_TESTS:
        if rest[0].value in _FILE_TESTS:
            check_path(rest[1], rest[1].value, place, reads_content=False)
        return 2
    if rest and len(rest) == 1 and not rest[0].value.startswith("-"):
        return 1
    raise Unproven("command.operand", "Of test, only file, text and number conditions are known to only read")
