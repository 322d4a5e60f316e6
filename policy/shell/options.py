"""The options of one command: an allow list with exact names, and the parser that uses it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from policy.shell.lexer import Word
from policy.shell.operands import Place, check_path, check_pattern, check_range, check_revision, check_text
from policy.verdicts.unproven import Unproven

ValueKind = Literal["TEXT", "NUM", "DIGITS", "SIGNED", "PATH", "GLOB", "RANGE", "FORMAT", "REV", "KEY"]
"""What a value is: free text, a number with a unit or without, a number with a sign, a path, a glob of names, lines
of a file, a git format, a git revision, a sort key that may begin with `-` where it is attached."""

_KINDS: frozenset[str] = frozenset(get_args(ValueKind))
_ENTRY = re.compile(r"(--?[^=:\[\s]+|-#)(?:([=:])([A-Z]+)|\[=([A-Z]+)\])?")
_NUMBER = re.compile(r"[0-9]+[A-Za-z%]*")
_SIGNED = re.compile(r"[-+]?[0-9]+[A-Za-z]*")
_KEY = re.compile(r"-?[A-Za-z][A-Za-z0-9:.]*")
_SIGNATURE = re.compile(r"%[-+ ]?G|%\([^)]*sign")
_FORMAT_NAME = re.compile(r"oneline|short|medium|full|fuller|reference|email|raw|mboxrd|.*%.*|t?format:.*", re.DOTALL)


@dataclass(frozen=True)
class Option:
    """One listed option."""

    name: str
    value: ValueKind | None = None
    is_optional: bool = False
    """An optional value is attached (`--color=auto`, `-M50`), never the next word."""
    is_alone: bool = False
    """The option stands in a word of its own and its value is the next word, whatever follows its letter."""


@dataclass(frozen=True)
class OptionList:
    """Every option that a command may have; anything else asks."""

    options: Mapping[str, Option]
    takes_count: bool = False
    """A bare number as an option (`-20`)."""

    @classmethod
    def parse(cls, text: str) -> OptionList:
        """Read a list such as `-a --all -n=NUM --lines=NUM -I:TEXT --color[=TEXT] -#`."""
        options: dict[str, Option] = {}
        for entry in text.split():
            found = _ENTRY.fullmatch(entry)
            kind = found and (found.group(3) or found.group(4))
            if not found or (kind and kind not in _KINDS) or found.group(1) in options:
                raise ValueError(f"'{entry}' is not an entry of an option list, or occurs twice")
            name, is_optional, is_alone = found.group(1), bool(found.group(4)), found.group(2) == ":"
            options[name] = Option(name, kind, is_optional, is_alone)  # type: ignore[arg-type]
        return cls({name: option for name, option in options.items() if name != "-#"}, "-#" in options)


@dataclass
class Reading:
    """What was found on a line."""

    operands: list[Word] = field(default_factory=list)
    given: set[str] = field(default_factory=set)
    values: list[tuple[Option, Word, str]] = field(default_factory=list)
    letters: list[tuple[str, Word, int]] = field(default_factory=list)
    """Each short option with the word and the index at which it stands."""


def read_options(allowed: OptionList, words: Sequence[Word], place: Place) -> Reading:
    """Take the words after the name apart; raise a Unproven at an unlisted option or a value that is not clean."""
    reading = take_apart(allowed, words)
    for option, word, value in reading.values:
        _check_value(option, word, value, place)
    return reading


def take_apart(allowed: OptionList, words: Sequence[Word]) -> Reading:
    """Tell options, their values and operands apart; raise a Unproven at an unlisted option."""
    reading = Reading()
    queue = list(reversed(words))
    while queue:
        word = queue.pop()
        if word.value == "--":
            reading.operands += reversed(queue)
            queue.clear()
        elif word.value.startswith("--"):
            _read_long(allowed, word, queue, reading)
        elif word.value.startswith("-") and word.value != "-":
            _read_short(allowed, word, queue, reading)
        else:
            reading.operands.append(word)
    return reading


def _unlisted(name: str, word: Word) -> Unproven:
    return Unproven("command.option", f"The option {name} is not known to only read", word.span)


def _read_long(allowed: OptionList, word: Word, queue: list[Word], reading: Reading) -> None:
    name, equals, value = word.value.partition("=")
    option = allowed.options.get(name)
    if option is None:
        raise _unlisted(name, word)
    reading.given.add(name)
    if option.value is None:
        if equals:
            raise Unproven("command.option", f"The option {name} takes no value", word.span)
    elif equals:
        reading.values.append((option, word, value))
    elif not option.is_optional:
        reading.values.append((option, *_next_value(option, word, queue)))


def _read_short(allowed: OptionList, word: Word, queue: list[Word], reading: Reading) -> None:
    if word.value in allowed.options and len(word.value) > 2:
        _read_long(allowed, word, queue, reading)
        return
    cluster = word.value[1:]
    if cluster.isascii() and cluster.isdigit() and allowed.takes_count:
        reading.given.add("-#")
        return
    for place, letter in enumerate(cluster, start=1):
        option = allowed.options.get(f"-{letter}")
        if option is None:
            raise _unlisted(f"-{letter}", word)
        reading.given.add(option.name)
        reading.letters.append((option.name, word, place))
        if option.is_alone and len(cluster) > 1:
            text = f"The value of {option.name} is the next word, so the option must stand alone"
            raise Unproven("command.option", text, word.span)
        if option.value is not None:
            attached = cluster[place:]
            if attached:
                reading.values.append((option, word, attached))
            elif not option.is_optional:
                reading.values.append((option, *_next_value(option, word, queue)))
            return


def _next_value(option: Option, word: Word, queue: list[Word]) -> tuple[Word, str]:
    if not queue:
        raise Unproven("command.option", f"The option {option.name} lacks its value", word.span)
    following = queue.pop()
    return following, following.value


def _check_value(option: Option, word: Word, value: str, place: Place) -> None:
    is_number = option.value == "SIGNED" and _SIGNED.fullmatch(value)
    is_attached_key = option.value == "KEY" and word.value != value
    if value.startswith("-") and not is_number and not is_attached_key:
        raise Unproven("command.option", f"The value of {option.name} looks like an option", word.span)
    match option.value:
        case "PATH":
            check_path(word, value, place)
        case "REV":
            check_revision(word, value, place)
        case "RANGE":
            check_range(word, value, place)
        case "GLOB":
            check_pattern(word, value)
        case "FORMAT" if _SIGNATURE.search(value):
            raise Unproven("command.option", "A format with a signature starts another program", word.span)
        case "FORMAT" if not _FORMAT_NAME.fullmatch(value):
            raise Unproven("command.option", "This format may be defined by the repository", word.span)
        case "KEY" if not _KEY.fullmatch(value):
            raise Unproven("command.option", f"The value of {option.name} is not a sort key", word.span)
        case "DIGITS" if not (value.isascii() and value.isdigit()):
            raise Unproven("command.option", f"The value of {option.name} is not a number", word.span)
        case "NUM" if not _NUMBER.fullmatch(value):
            raise Unproven("command.option", f"The value of {option.name} is not a number", word.span)
        case "SIGNED" if not _SIGNED.fullmatch(value):
            raise Unproven("command.option", f"The value of {option.name} is not a number", word.span)
    if word.is_glob:
        check_text(word, place)
