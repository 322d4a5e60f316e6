"""Words that the client adds to a command so that it only reads: no external diff, no secrets in a search."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache

from policy.paths.classes import FAMILIES
from policy.shell.always_ask import names_of
from policy.shell.lexer import Word
from policy.shell.options import Reading, take_apart
from policy.shell.parser import Stage
from policy.shell.readonly import command_of

_NO_PROGRAMS = ("--no-ext-diff", "--no-textconv")
_NO_SUBMODULES = ("--ignore-submodules=dirty",)
"""git starts itself in each submodule, with the submodule's own configuration."""
_GIT_ADDITIONS: Mapping[str, tuple[str, ...]] = {
    "git diff": (*_NO_PROGRAMS, *_NO_SUBMODULES),
    "git status": _NO_SUBMODULES,
    **dict.fromkeys(
        ("git log", "git show", "git blame", "git reflog", "git reflog show", "git stash show"), _NO_PROGRAMS
    ),
}
_PATCH_BY_DEFAULT = frozenset({"git diff", "git show", "git blame"})
_PATCHES = names_of(
    "-p -u --patch -U --unified -W --function-context -L -S -G -c --cc -m --patch-with-raw --patch-with-stat "
    "--word-diff --color-words --word-diff-regex --check --binary --diff-merges"
)
_SUMMARIES = names_of(
    "--stat --numstat --shortstat --name-only --name-status --compact-summary --summary --dirstat --raw"
)
_RECURSIVE = frozenset({"-r", "-R", "--recursive", "--dereference-recursive"})


@dataclass(frozen=True)
class Additions:
    """Words for one command: what is added, where, and which words are replaced."""

    words: tuple[str, ...] = ()
    place: int | None = None
    """The index before which they stand; None is the end."""
    instead: Mapping[int, str] = field(default_factory=dict)
    are_required: bool = False
    """Without them the command does more than read, so it must not run through a shell."""


def additions_of(stage: Stage) -> Additions:
    """Return what is added to a proved command."""
    found = command_of(stage.words)
    if found is None:
        return Additions()
    command, taken = found
    if command.name in _GIT_ADDITIONS:
        given = take_apart(command.options, stage.words[taken:]).given
        return Additions(_GIT_ADDITIONS[command.name], taken, are_required=_prints_patch(command.name, given))
    if command.name == "git grep":
        return Additions(secret_pathspecs(), are_required=True)
    if command.name not in {"grep", "egrep", "fgrep", "rg", "diff"}:
        return Additions()
    reading = take_apart(command.options, stage.words[taken:])
    argv = stage.argv
    end = argv.index("--") if "--" in argv else None
    if command.name == "rg":
        return Additions(tuple(f"--iglob=!{name}" for name in secret_globs()), end, are_required=True)
    excluded = tuple(f"--exclude={name}" for name in secret_globs())
    if command.name == "diff":
        compares_folders = bool(_RECURSIVE & reading.given) or any(map(_may_be_folder, reading.operands))
        return Additions((*excluded, "--no-dereference"), end, are_required=compares_folders)
    if not _RECURSIVE & reading.given:
        return Additions()
    folders = tuple(f"--exclude-dir={name}" for name in secret_globs())
    return Additions((*excluded, *folders), end, _without_links(stage, reading), are_required=True)


def _may_be_folder(operand: Word) -> bool:
    return "." not in operand.value.rstrip("/").rpartition("/")[2].strip(".") or operand.value.endswith("/")


def _prints_patch(name: str, given: Set[str]) -> bool:
    """Say whether git may print a patch, for which a repository can name a program."""
    if name == "git status":
        return False
    return bool(_PATCHES & given) or (name in _PATCH_BY_DEFAULT and not _SUMMARIES & given)


def _without_links(stage: Stage, reading: Reading) -> dict[int, str]:
    """Write -r for -R: a recursive search does not follow links out of the workspace."""
    instead: dict[int, str] = {}
    for number, word in enumerate(stage.words):
        text = word.value
        for letter, of_word, index in reading.letters:
            if of_word is word and letter == "-R":
                text = f"{text[:index]}r{text[index + 1 :]}"
        if text == "--dereference-recursive":
            text = "--recursive"
        if text != word.value:
            instead[number] = text
    return instead


@lru_cache(maxsize=1)
def secret_pathspecs() -> tuple[str, ...]:
    """Return what keeps secrets that git tracks out of its search: files, their backups and folders of these names."""
    patterns = [pattern for family in FAMILIES if family.read != "allow" for pattern in family.patterns]
    names = dict.fromkeys(pattern.split("/")[0] for pattern in patterns if pattern != ".git")
    return tuple(f":(exclude,icase,glob)**/{name}{end}" for name in names for end in ("", "[.~]*", "/**"))


@lru_cache(maxsize=1)
def secret_globs() -> tuple[str, ...]:
    """Return the names of secrets as globs of one component, in any case, with the endings of backups."""
    names: dict[str, None] = {}
    for pattern in [pattern for family in FAMILIES if family.read != "allow" for pattern in family.patterns]:
        first = pattern.split("/")[0]
        name = "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() and c.isascii() else c for c in first)
        backups = [f"{name}[.~#]*"] if name.startswith("*") else [f"{name}[.~]*", f"[.#]{name}[.#]*", f".#{name}"]
        names |= dict.fromkeys([name, *backups])
    return tuple(names)
