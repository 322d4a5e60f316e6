"""The harm of one simple command, by its program and its words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from policy.shell.always_ask import names_of
from policy.shell.danger.code import is_harmful_code
from policy.shell.danger.cutting import Part
from policy.shell.danger.effects import has_own_harm
from policy.shell.danger.git import loses_work, subcommand_of
from policy.shell.danger.packages import is_address, runs_package
from policy.shell.danger.secrets import finds_secrets, lists_secrets, reaches_secrets
from policy.shell.danger.targets import is_guarded
from policy.shell.danger.words import WORDS
from policy.shell.danger.writes import written_by
from policy.shell.readonly import READ_COMMANDS

_READERS = names_of(" ".join(name.split()[0] for name in READ_COMMANDS)) - {"git", "find", "sed", "awk", "gawk"}
_INLINE = re.compile(
    r"-[A-Za-z]*[ceErp]|--eval|--exec|--command|-(?:command|encodedcommand|enc)|/c|--print", re.IGNORECASE
)
_LOSS_OPTIONS = names_of("delete destroy purge drop wipe erase prune")
_MAX_PLACES = 6
_MAX_DEPTH = 5

Reader = Callable[[str, int], bool]
"""Examines a text that a program will read as shell commands, at a nesting depth."""


@dataclass(frozen=True)
class Setting:
    """The surroundings of a command: workspace, folder, and what it reads."""

    root: str | None = None
    folder: str = ""
    document: str | None = None
    inner: tuple[Part, ...] = ()
    """The commands of its substitutions."""
    piped: tuple[Part, ...] = ()
    """The earlier parts of its pipeline."""
    fed: bool | None = None
    """Under `xargs` or `find`: whether secrets may be among the names that it is given."""

    def guards(self, target: str) -> bool:
        """Say whether a write to this path is more than the change of an ordinary file."""
        absolute = re.match(r"[/~$%]|[A-Za-z]:[\\/]", target) or not self.folder
        return is_guarded(target if absolute else f"{self.folder}/{target}", self.root)


def is_harmful(words: Sequence[str], setting: Setting, read: Reader, depth: int = 0) -> bool:
    """Say whether a command may delete, force, gain rights or write a guarded file."""
    if not words or depth > _MAX_DEPTH:
        return depth > _MAX_DEPTH
    name = base(words[0])
    if "$" in name or not name or ("{" in words[0] and "," in words[0]):
        return True
    arguments = list(words[1:])
    if reaches_secrets(name, arguments, setting.piped, setting.inner, setting.fed):
        return True
    if name in WORDS["deletes"]:
        return not {"--help", "--version"} >= set(arguments) or not arguments
    if name in WORDS["privileges"]:
        return not {"--help", "--version", "-l", "--user", "status", "--status", "list"}.intersection(arguments)
    if name.startswith(("mkfs.", "newfs_")):
        return True
    if name == "git":
        return loses_work(arguments) or _git_starts(arguments, setting, read, depth)
    if name in WORDS["package_runners"]:
        return runs_package(name, arguments)
    if any(setting.guards(target) for target in written_by(name, arguments)):
        return True
    if name in WORDS["shells"] or name in {"eval", "source", ".", "iex", "invoke-expression"}:
        return _shell(name, arguments, setting, read, depth)
    if name in WORDS["interpreters"]:
        return _interpreter(name, arguments, setting, read, depth)
    if name in {"find", "fd", "fdfind"}:
        return _find(name, arguments, setting, read, depth)
    if name in WORDS["wrappers"]:
        return _behind(name, arguments, setting, read, depth)
    return _has_own_harm(name, arguments, setting, read, depth) or _loses(name, arguments)


def _has_own_harm(name: str, arguments: list[str], setting: Setting, read: Reader, depth: int) -> bool:
    return has_own_harm(
        name,
        arguments,
        setting.document or "",
        lambda text: read(text, depth + 1),
        lambda words: is_harmful(words, setting, read, depth + 1),
    )


def base(word: str) -> str:
    """Return the name of a program without folder and ending, in lower case."""
    return re.split(r"[/\\]", word)[-1].lower().removesuffix(".exe").lstrip("\\")


def _loses(name: str, arguments: Sequence[str]) -> bool:
    """Whether a program that is no build tool of the project is given a word that means deletion."""
    if name in WORDS["workers"] or name in _READERS:
        return False
    words = {word.lower().partition("=")[0] for word in arguments}
    return bool(words & WORDS["losses"]) or any(
        word.startswith("--") and word[2:].partition("-")[0] in _LOSS_OPTIONS for word in words
    )


def _behind(name: str, arguments: Sequence[str], setting: Setting, read: Reader, depth: int) -> bool:
    """Examine every position at which the program of a wrapper may begin."""
    if name == "env" and not arguments:
        return True
    if name in {"xargs", "parallel"}:
        setting = replace(
            setting, fed=bool({"-a", "--arg-file"}.intersection(arguments)) or lists_secrets(setting.piped)
        )
    for place in _places(arguments):
        text = arguments[place]
        if " " in text and read(text, depth + 1):
            return True
        if is_harmful(arguments[place:], setting, read, depth + 1):
            return True
    return False


def _places(arguments: Sequence[str]) -> Iterator[int]:
    yielded = 0
    for place, word in enumerate(arguments[:40]):
        if word.startswith("-") or re.fullmatch(r"[A-Za-z_]\w*=.*|[0-9.]+[smhd]?|\{\}|\+", word, re.DOTALL):
            continue
        follows_option = place > 0 and arguments[place - 1].startswith("-")
        if word.lower() in WORDS["wrapper_words"]:
            continue
        yield place
        yielded += 1
        if yielded == _MAX_PLACES or (not follows_option and yielded > 1):
            return


def _shell(name: str, arguments: Sequence[str], setting: Setting, read: Reader, depth: int) -> bool:
    if setting.document is not None and read(setting.document, depth + 1):
        return True
    if name in {"iex", "invoke-expression"} and not arguments:
        return True
    if name in {"eval", "iex", "invoke-expression"}:
        return bool(setting.inner) or any("$" in word for word in arguments) or read(" ".join(arguments), depth + 1)
    if name in {"source", "."}:
        return bool(setting.inner)
    for place, word in enumerate(arguments):
        if _INLINE.fullmatch(word) and "c" in word.lower() and place + 1 < len(arguments):
            text = " ".join(arguments[place + 1 :]) if name in {"cmd", "powershell", "pwsh"} else arguments[place + 1]
            is_encoded = word.lower().startswith("-enc")
            return is_encoded or text.strip() in {"$()", ""} or text.startswith("$") or read(text, depth + 1)
    return False


def _interpreter(name: str, arguments: Sequence[str], setting: Setting, read: Reader, depth: int) -> bool:
    texts = [setting.document] if setting.document is not None else []
    for place, word in enumerate(arguments):
        if name == "deno" and word == "eval":
            texts += arguments[place + 1 :]
        elif name not in {"awk", "gawk", "mawk"} and _INLINE.fullmatch(word) and place + 1 < len(arguments):
            texts.append(arguments[place + 1])
        elif (re.match(r"-[A-Za-z]*[ceE].+", word) and not word.startswith("--")) or (
            not word.startswith("-") and name in {"awk", "gawk", "mawk"}
        ):
            texts.append(word)
        elif not word.startswith("-"):
            break
    if name.startswith("python") and arguments[:2] == ["-m", "pip"]:
        return _has_own_harm("pip", list(arguments[2:]), setting, read, depth)
    operands = [word for word in arguments if not word.startswith("-")]
    if operands and base(operands[0]) in WORDS["frameworks"] and WORDS["losses"].intersection(operands[1:]):
        return True
    if name in {"deno", "bun"} and any(is_address(word) for word in arguments):
        return True
    return any(is_harmful_code(text, setting.guards) for text in texts)


def _find(name: str, arguments: Sequence[str], setting: Setting, read: Reader, depth: int) -> bool:
    if "-delete" in arguments:
        return True
    starts = {"-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"}
    fed = replace(setting, fed=finds_secrets(name, arguments))
    for place, word in enumerate(arguments):
        if word in starts and is_harmful(arguments[place + 1 :], fed, read, depth + 1):
            return True
    return False


def _git_starts(arguments: Sequence[str], setting: Setting, read: Reader, depth: int) -> bool:
    """Examine what `git bisect run`, `rebase --exec`, `submodule foreach` and a clone over a helper start."""
    _, rest = subcommand_of(arguments)
    if rest[:2] == ["bisect", "run"]:
        return is_harmful(rest[2:], setting, read, depth + 1)
    if rest[:2] == ["submodule", "foreach"]:
        return any(read(word, depth + 1) for word in rest[2:] if not word.startswith("-"))
    for option, value in pairwise(rest):
        if rest[0] == "rebase" and option in {"--exec", "-x"} and read(value, depth + 1):
            return True
    if any(word.startswith(("ext::", "--upload-pack", "--template", "--exec=")) for word in rest):
        return True
    return rest[:1] == ["clone"] and len(rest) > 2 and setting.guards(rest[-1])
