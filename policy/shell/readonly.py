"""The built-in list of read-only commands: `commands.toml`, read once and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, get_args

from policy.shell.always_ask import names_of
from policy.shell.lexer import Word
from policy.shell.operands import Place, check_path, check_revision, check_text
from policy.shell.options import OptionList, Reading, read_options
from policy.verdicts.unproven import Unproven

OperandKind = Literal["paths", "names", "text", "pattern", "revisions", "pattern-revisions", "none"]
Form = Literal["awk", "bracket", "cd", "date", "echo", "find", "jq", "printf", "sed", "seq", "test", "type", "version"]

_FIELDS = names_of("options options_of operands most needs operands_need pattern_from form same_as passes fails")


@dataclass(frozen=True)
class ReadCommand:
    """One command that may run without asking, within its limits."""

    name: str
    options: OptionList
    operands: OperandKind = "none"
    most: int | None = None
    needs: frozenset[str] = frozenset()
    operands_need: frozenset[str] = frozenset()
    pattern_from: frozenset[str] = frozenset()
    form: Form | None = None
    passes: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()

    def check(self, words: Sequence[Word], place: Place) -> None:
        """Raise a Unproven unless the words after the name stay within the limits of the command."""
        reading = read_options(self.options, words, place)
        if self.needs and not self.needs & reading.given:
            raise Unproven("command.option", f"{self.name} needs one of {' '.join(sorted(self.needs))} to be a read")
        operands = reading.operands
        if operands and self.operands_need and not self.operands_need & reading.given:
            missing = " or ".join(sorted(self.operands_need))
            text = f"{self.name} with an operand and without {missing} may change something"
            raise Unproven("command.operand", text, operands[0].span)
        if operands and self.operands == "none":
            raise Unproven("command.operand", f"{self.name} takes no operand here", operands[0].span)
        self._check_number(operands)
        self._check_each(reading, place)

    def _check_number(self, operands: Sequence[Word]) -> None:
        if self.most is None:
            return
        if len(operands) > self.most:
            text = f"{self.name} has at most {self.most} operand; another one may be written to"
            raise Unproven("command.operand", text, operands[self.most].span)
        for word in operands:
            if word.is_glob:
                raise Unproven("shell.glob", f"A wildcard may give {self.name} a second operand", word.span)

    def _check_each(self, reading: Reading, place: Place) -> None:
        operands = list(reading.operands)
        if self.operands.startswith("pattern") and not self.pattern_from & reading.given and operands:
            check_text(operands.pop(0), place)
        for word in operands:
            if self.operands == "text":
                check_text(word, place)
            elif self.operands in {"revisions", "pattern-revisions"}:
                check_revision(word, word.value, place)
            else:
                check_path(word, word.value, place, reads_content=self.operands != "names")


def command_of(argv: Sequence[Word]) -> tuple[ReadCommand, int] | None:
    """Return the listed command that the first words name, and how many words its name takes."""
    skipped = 0
    if argv[0].raw == "git":
        while len(argv) > skipped + 1 and argv[skipped + 1].raw in {"-P", "--no-pager"}:
            skipped += 1
    names = [argv[0].value, *(word.value for word in argv[skipped + 1 : skipped + 3] if word.raw == word.value)]
    for count in range(len(names), 0, -1):
        found = READ_COMMANDS.get(" ".join(names[:count]))
        if found is not None and not (skipped and count == 1):
            return found, count + skipped
    return None


def _load(text: str) -> dict[str, ReadCommand]:
    table: dict[str, dict[str, Any]] = tomllib.loads(text)
    shared = {name: str(entry["options"]) for name, entry in table.pop("shared").items()}
    return {name: _command(name, entry, table, shared) for name, entry in table.items()}


def _command(name: str, entry: Mapping[str, Any], table: Mapping[str, Any], shared: Mapping[str, str]) -> ReadCommand:
    if unknown := entry.keys() - _FIELDS:
        raise ValueError(f"commands.toml, {name}: unknown field {sorted(unknown)[0]}")
    limits = {**table[entry["same_as"]], **entry} if "same_as" in entry else entry
    operands, form = limits.get("operands", "none"), limits.get("form")
    if operands not in get_args(OperandKind) or (form is not None and form not in get_args(Form)):
        raise ValueError(f"commands.toml, {name}: unknown kind of operands or form")
    return ReadCommand(
        name=name,
        options=OptionList.parse(
            " ".join([limits["options"], *(shared[part] for part in limits.get("options_of", []))])
        ),
        operands=operands,
        most=limits.get("most"),
        needs=frozenset(limits.get("needs", "").split()),
        operands_need=frozenset(limits.get("operands_need", "").split()),
        pattern_from=frozenset(limits.get("pattern_from", "").split()),
        form=form,
        passes=tuple(limits["passes"]),
        fails=tuple(limits["fails"]),
    )


COMMANDS_TEXT = files("policy.shell").joinpath("commands.toml").read_text(encoding="utf-8")
READ_COMMANDS: Mapping[str, ReadCommand] = _load(COMMANDS_TEXT)
