"""Command lines at random from the grammar of the read-only list, and lines that try to leave it."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from policy.shell.options import Option
from policy.shell.readonly import READ_COMMANDS, ReadCommand

_PIECES = tomllib.loads((Path(__file__).parent / "command_pieces.toml").read_text(encoding="utf-8"))
_SCRIPTS: Mapping[str, Sequence[str]] = _PIECES["scripts"]
_BEFORE_SUBCOMMAND = ("git --no-pager ", "git -P ", "git -C lib ", "git -c a=b ")


def lines(seed: int) -> Iterator[str]:
    """Yield command lines without an end; the judge lets some of them run."""
    chance = random.Random(seed)  # noqa: S311 -- a test's choice, no secret
    commands = list(READ_COMMANDS.values())
    while True:
        first = chance.choice(commands)
        line = _command(first, chance)
        for _ in range(chance.choice((0, 0, 0, 1, 1, 2))):
            joint = chance.choice(_PIECES["joints"])
            following = (
                chance.choice(_PIECES["filters"]) if joint == " | " else _command(chance.choice(commands), chance)
            )
            line += joint + following
        yield line + chance.choice(_PIECES["tails"])


def _command(command: ReadCommand, chance: random.Random) -> str:
    if command.form is not None:
        pieces = _SCRIPTS.get(command.form) or _SCRIPTS["test"]
        body = chance.choice(pieces)
        if command.form == "find":
            body = " ".join(chance.sample(pieces, chance.choice((1, 1, 2))))
            return f"find {chance.choice(('.', 'lib', 'src', ''))} {body}".replace("  ", " ")
        files = " ".join(_operands("paths", chance)) if command.form in {"awk", "sed", "jq"} else ""
        ending = " ]" if command.form == "bracket" else ""
        return f"{command.name} {body} {files}{ending}".strip()
    words = [command.name]
    if chance.random() < 0.1 and command.name.startswith("git "):
        words = [command.name.replace("git ", chance.choice(_BEFORE_SUBCOMMAND))]
    options = list(command.options.options.values())
    for option in chance.sample(options, min(len(options), chance.choice((0, 1, 1, 2, 3)))):
        words += written(option, value_of(option, chance), chance.choice)
    flags = [option.name[1] for option in options if option.value is None and len(option.name) == 2]
    if flags and chance.random() < 0.2:
        words.append("-" + "".join(chance.sample(flags, min(len(flags), 2))))
    if command.needs and chance.random() < 0.8:
        words.append(chance.choice(sorted(command.needs)))
    words += _operands(command.operands, chance)
    if chance.random() < 0.08:
        words.insert(
            chance.randint(1, len(words)), chance.choice((*_PIECES["hostile"], "--", "-x", "--no-such", "-ox"))
        )
    return " ".join(words)


def written(option: Option, value: str, choose: Callable[[Sequence[list[str]]], list[str]]) -> list[str]:
    """Return one of the forms in which an option and its value may be written."""
    return choose(forms_of(option, value))


def forms_of(option: Option, value: str) -> list[list[str]]:
    """Return every form in which an option may be written."""
    is_long = option.name.startswith("--")
    if option.value is None:
        return [[option.name]]
    attached = [f"{option.name}={value}" if is_long else f"{option.name}{value}"]
    if option.is_optional:
        return [[option.name], attached]
    if option.is_alone:
        return [[option.name, value]]
    return [attached, [option.name, value]]


def value_of(option: Option, chance: random.Random) -> str:
    """Return a value of the option's kind, now and then one that it should not have."""
    if chance.random() < 0.05:
        return chance.choice(_PIECES["hostile"])
    kinds: dict[str | None, Sequence[str]] = {
        None: ("",),
        "TEXT": _PIECES["words"],
        "NUM": ("1", "3", "10", "40"),
        "DIGITS": ("1", "2"),
        "SIGNED": _PIECES["numbers"],
        "PATH": _PIECES["paths"][:10],
        "GLOB": ("'*.py'", "'*.md'", "'!*.x'", "'.env'", "'*'"),
        "RANGE": ("1,2", "1,3:README.md", "2:../outside/secret.txt"),
        "FORMAT": _PIECES["formats"],
        "REV": _PIECES["revisions"],
        "KEY": _PIECES["keys"],
    }
    return chance.choice(kinds[option.value])


def _operands(kind: str, chance: random.Random) -> list[str]:
    if kind == "none":
        return [chance.choice(_PIECES["paths"])] if chance.random() < 0.03 else []
    if kind == "text":
        return [chance.choice(_PIECES["words"]) for _ in range(chance.choice((0, 1, 1, 2)))]
    words = [chance.choice(_PIECES["words"])] if kind.startswith("pattern") else []
    if "revisions" in kind:
        words += [chance.choice(_PIECES["revisions"]) for _ in range(chance.choice((0, 1, 1, 2)))]
        if chance.random() < 0.3:
            words += ["--", chance.choice(_PIECES["paths"])]
        return words
    for _ in range(chance.choice((0, 1, 1, 2))):
        odds = chance.random()
        words.append(
            chance.choice(
                _PIECES["hostile"] if odds < 0.05 else _PIECES["wildcards"] if odds < 0.2 else _PIECES["paths"]
            )
        )
    return words
