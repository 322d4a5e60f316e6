"""awk: programs of fields, patterns, print and arithmetic; nothing that starts a program or opens another file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from policy.shell.always_ask import names_of
from policy.shell.lexer import Word
from policy.shell.operands import Place, check_path, check_text
from policy.verdicts.unproven import Unproven

_REFUSED = re.compile(r"system|getline|close|fflush|ENVIRON|ARGV|ARGC|ARGIND|PROCINFO|SYMTAB|FUNCTAB|@|\\\n")
"""Refused wherever they stand, also in texts: then no difference between two readings of a program can start one."""

_BUILTINS = names_of(
    "length substr index split sub gsub gensub match sprintf tolower toupper int sqrt exp log sin cos atan2 rand srand "
    "strftime systime mktime asort asorti"
)
_KEYWORDS = names_of("BEGIN END if else while for do in print printf next nextfile exit delete break continue")
_CONTROL = names_of("if while for")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_BRACKET = r"\[\^?(?:\[:[a-z]{1,9}:\]|[^\[\]/\\\n])+\]"
_REGEX = re.compile(rf"/(?:[^/\\\n\[\]]|\\[^\n]|{_BRACKET})*/")
_MARK = re.compile(r"\+\+|--|\*\*=?|[-+*/%^]=|&&|\|\||==|!=|<=|>=|!~|[-+*/%^!<>=~?:,;{}()\[\]$\n]")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")

Kind = Literal["name", "number", "text", "regex", "mark"]


class OutsideGrammar(Exception):
    """The program is outside the grammar; the argument says why."""


def check_awk(words: Sequence[Word], place: Place) -> None:
    """Raise a Unproven unless options, program and files are plain reads."""
    queue = list(reversed(words))
    while queue and queue[-1].value.startswith("-") and queue[-1].value != "-":
        option = queue.pop()
        if option.value == "--":
            break
        if len(words) == 1 and option.value == "--version":
            return
        if option.value[:2] not in {"-F", "-v"}:
            raise _doubt(f"The option {option.value} is not known to only read", option)
        value = option.value[2:]
        if not value:
            if not queue:
                raise _doubt(f"{option.value} lacks its value", option)
            value = queue[-1].value
            check_text(queue.pop(), place)
        if value.startswith("-"):
            raise _doubt(f"The value of {option.value} looks like an option", option)
        if option.value[:2] == "-v" and (not _ASSIGNMENT.match(value) or _REFUSED.search(value)):
            raise _doubt("-v takes name=value", option)
    if not queue:
        raise Unproven("command.interpreter", "awk without a program", lasting=True)
    program = queue.pop()
    try:
        _prove(program.value)
    except OutsideGrammar as problem:
        raise _doubt(f"awk runs whatever text it is given: {problem}", program) from problem
    check_text(program, place)
    for word in reversed(queue):
        if "=" in word.value:
            raise _doubt("awk takes an operand with = as an assignment", word)
        if word.value.startswith("-") and word.value != "-":
            raise _doubt("Some awks take an option behind the program", word)
        check_path(word, word.value, place)


def _doubt(text: str, word: Word) -> Unproven:
    return Unproven("command.interpreter", text, word.span, lasting=True)


def _prove(program: str) -> None:
    """Raise OutsideGrammar at a pipe, a redirection, a call or a name that is not of the grammar."""
    if found := _REFUSED.search(program):
        raise OutsideGrammar(f"`{found.group()}` may start a program or open another file")
    depth, printing = 0, False
    previous, before = "", ""
    for kind, sign in _tokens(program):
        if sign in {"print", "printf"} and kind == "name":
            printing, depth = True, 0
        elif sign in {";", "}", "{"} and kind == "mark":
            printing, depth = False, 0
        elif kind == "mark":
            depth += (sign in "([") - (sign in ")]")
            if sign == ">" and printing and depth <= 0:
                raise OutsideGrammar("print with > writes a file")
            is_call = sign == "(" and _NAME.fullmatch(previous) and before == "name"
            if is_call and previous not in _BUILTINS | _KEYWORDS:
                raise OutsideGrammar(f"{previous} is not a known function")
        if kind == "name" and sign in {"function", "func"}:
            raise OutsideGrammar("functions are not part of the provable programs")
        previous, before = sign, kind


def _tokens(program: str) -> Iterator[tuple[Kind, str]]:
    """Cut a program; a slash that two awks could read differently ends the proof."""
    place = 0
    previous: tuple[str, str] = ("mark", "\n")
    closes_control: list[bool] = []
    after_control = False
    while place < len(program):
        if program[place] in " \t":
            place += 1
            continue
        kind, sign = _next(program, place, previous, after_control=after_control)
        after_control = False
        if sign == "(" and kind == "mark":
            closes_control.append(previous in {("name", word) for word in _CONTROL})
        elif sign == ")" and kind == "mark":
            after_control = closes_control.pop() if closes_control else True
        yield kind, sign
        place += len(sign)
        previous = (kind, sign)


def _next(program: str, place: int, previous: tuple[str, str], *, after_control: bool) -> tuple[Kind, str]:
    if name := _NAME.match(program, place):
        return "name", name.group()
    if text := _STRING.match(program, place):
        return "text", text.group()
    if number := _NUMBER.match(program, place):
        return "number", number.group()
    if program[place] == "/" and not _divides(previous, after_control=after_control):
        if regex := _REGEX.match(program, place):
            return "regex", regex.group()
        raise OutsideGrammar("a pattern that two awks may read differently")
    if mark := _MARK.match(program, place):
        return "mark", mark.group()
    raise OutsideGrammar(f"`{program[place]}` is not part of the provable programs")


def _divides(previous: tuple[str, str], *, after_control: bool) -> bool:
    kind, sign = previous
    if after_control or sign in {"++", "--", "$", "length"}:
        raise OutsideGrammar("a slash here is a division or the start of a pattern")
    if kind == "name":
        return sign not in _KEYWORDS
    return kind in {"number", "text"} or (kind == "mark" and sign in {")", "]"})
