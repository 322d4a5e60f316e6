"""find: starting points, then tests and printing actions; nothing that starts a program, writes or follows links."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from policy.shell.always_ask import names_of
from policy.shell.lexer import Word
from policy.shell.operands import Place, check_path, check_text
from policy.verdicts.unproven import Unproven

_FLAGS = names_of(
    "-not -o -or -a -and -true -false -print -print0 -ls -prune -quit -empty -nouser -nogroup -readable -writable "
    "-executable -depth -xdev -mount -daystart"
)
_MARKS = names_of("! \\! ( \\( ) \\)")
_NUMBER = re.compile(r"[-+]?[0-9]+")
_TEXT = re.compile(r".*", re.DOTALL)
_PATH_TESTS = names_of("-newer -anewer -cnewer -samefile")
_VALUES: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(names_of("-name -iname -path -ipath -wholename -iwholename -regex -iregex -lname -ilname"), _TEXT),
    **dict.fromkeys(_PATH_TESTS, _TEXT),
    **dict.fromkeys(names_of("-mtime -atime -ctime -mmin -amin -cmin -links -inum -uid -gid -used"), _NUMBER),
    **dict.fromkeys(names_of("-maxdepth -mindepth"), re.compile(r"[0-9]+")),
    **dict.fromkeys(names_of("-type -xtype"), re.compile(r"[bcdpflsD](?:,[bcdpflsD])*")),
    **dict.fromkeys(names_of("-user -group -fstype -regextype"), re.compile(r"[A-Za-z0-9_.-]+")),
    "-size": re.compile(r"[-+]?[0-9]+[bcwkMG]?"),
    "-perm": re.compile(r"[-/]?[0-7ugoarwxXst,=+-]+"),
    "-newermt": re.compile(r"[0-9A-Za-z :.+-]+"),
    "-printf": _TEXT,
}


def check_find(words: Sequence[Word], place: Place) -> None:
    """Raise a Unproven at an action that does more than print, and at a test that is not known."""
    queue = list(reversed(words))
    while queue and not queue[-1].value.startswith("-") and queue[-1].value not in {"!", "(", ")", ","}:
        start = queue.pop()
        check_path(start, start.value, place, reads_content=False)
    while queue:
        test = queue.pop()
        if test.is_glob:
            raise Unproven("shell.glob", "A wildcard among find's tests may become an action", test.span)
        if test.value in _FLAGS or test.raw in _MARKS or test.raw in {"'('", "')'", '"("', '")"', "'!'"}:
            continue
        if test.value not in _VALUES:
            raise Unproven("command.option", f"{test.value} is not one of find's tests that only read", test.span)
        if not queue:
            raise Unproven("command.option", f"{test.value} lacks its value", test.span)
        _check_value(test.value, queue.pop(), place)


def _check_value(test: str, word: Word, place: Place) -> None:
    pattern = _VALUES[test]
    if not pattern.fullmatch(word.value):
        raise Unproven("command.option", f"{word.value} is not a value of {test}", word.span)
    if pattern is _TEXT and (word.value.startswith("-") or word.raw in _MARKS):
        raise Unproven("command.option", f"The value of {test} looks like an option", word.span)
    if test in _PATH_TESTS:
        check_path(word, word.value, place)
    check_text(word, place)
