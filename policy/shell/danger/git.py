"""What git could lose or start: forced pushes, discarded work, and settings that name programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from policy.shell.always_ask import names_of

_BEFORE_WITH_VALUE = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env"})
_PROGRAM_SETTING = re.compile(
    r"core\.(?:hookspath|sshcommand|fsmonitor|pager|editor|askpass|gitproxy|attributesfile|worktree|alternaterefscommand)"
    r"|alias\..*|filter\..*|diff\.(?:.*\.)?(?:external|command|textconv)|merge\..*\.driver|gpg\..*|credential.*|sequence\.editor"
    r"|include.*|url\..*|pager\..*|uploadpack\..*|receive\..*|remote\..*\.(?:uploadpack|receivepack|vcs|proxy)|protocol\..*"
    r"|interactive\.difffilter|difftool\..*|mergetool\..*|http\.(?:proxy|sslverify)|init\.templatedir|safe\.directory",
    re.IGNORECASE,
)
_FILE_LIKE = re.compile(r"\.{1,2}|\./.*|.*/|.*\.(?!\d)[A-Za-z][A-Za-z0-9]{0,5}|.*[*?\[].*|:.*")
_ALWAYS = names_of(
    "filter-branch filter-repo update-ref prune replace fast-import checkout-index read-tree daemon instaweb"
)
_LOSING_WORDS = {
    "stash": names_of("drop clear"),
    "reflog": names_of("expire delete"),
    "remote": names_of("rm remove prune"),
    "worktree": names_of("prune"),
    "notes": names_of("remove prune"),
    "submodule": names_of("deinit"),
    "lfs": names_of("prune"),
    "maintenance": names_of("unregister"),
}


def subcommand_of(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the `-c` settings before the subcommand, and the subcommand with its arguments."""
    settings: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in _BEFORE_WITH_VALUE and rest:
            value = rest.pop(0)
            settings += [value] if option in {"-c", "--config-env"} else []
        elif option.startswith("--exec-path="):
            settings.append("core.editor=")
    return settings, rest


def loses_work(words: Sequence[str]) -> bool:
    """Say whether git, given these words after its name, may discard work, force a push or name a program to start."""
    settings, rest = subcommand_of(words)
    if any(_PROGRAM_SETTING.match(setting) for setting in settings):
        return True
    if not rest:
        return False
    name, arguments = rest[0], rest[1:]
    if name.startswith("$"):
        return True
    given = _given(arguments)
    if name in _ALWAYS or _LOSING_WORDS.get(name, frozenset()) & set(given.operands[:1]):
        return True
    return _LOSSES[name](given) if name in _LOSSES else False


@dataclass(frozen=True)
class _Given:
    """What a subcommand is given."""

    letters: frozenset[str]
    named: frozenset[str]
    """Long options without their values."""
    operands: tuple[str, ...]
    has_end: bool
    """A `--` stands among the arguments."""

    def has(self, *names: str) -> bool:
        """Say whether an option is one of the names, or an abbreviation that git accepts."""
        return any(len(given) > 3 and name.startswith(given) for given in self.named for name in names)

    @property
    def is_forced(self) -> bool:
        return "f" in self.letters or any(given.startswith("--for") for given in self.named)


def _given(arguments: Sequence[str]) -> _Given:
    options = [word for word in arguments if word.startswith("-")]
    return _Given(
        frozenset("".join(word[1:] for word in options if not word.startswith("--"))),
        frozenset(word.partition("=")[0] for word in options if word.startswith("--")),
        tuple(word for word in arguments if not word.startswith("-")),
        "--" in arguments,
    )


def _push(given: _Given) -> bool:
    removes = "d" in given.letters or given.has("--delete", "--mirror", "--prune", "--receive-pack", "--exec")
    return given.is_forced or removes or any(ref.startswith(("+", ":")) for ref in given.operands)


def _clean(given: _Given) -> bool:
    return "n" not in given.letters and not given.has("--dry-run")


def _checkout(given: _Given) -> bool:
    if given.is_forced or given.letters & set("Bp") or given.has("--ours", "--theirs", "--patch", "--merge"):
        return True
    if given.has("--pathspec-from-file") or given.has_end:
        return True
    if given.letters & set("bt") or given.has("--orphan", "--track"):
        return False
    return len(given.operands) > 1 or any(_FILE_LIKE.fullmatch(word) for word in given.operands)


def _restore(given: _Given) -> bool:
    only_index = "S" in given.letters or given.has("--staged")
    return not only_index or "W" in given.letters or given.has("--worktree")


def _config(given: _Given) -> bool:
    changes = given.has("--unset", "--unset-all", "--edit", "--remove-section", "--add", "--replace-all")
    reads = given.has("--get", "--get-all", "--get-regexp", "--list") or given.operands[:1] in {("get",), ("list",)}
    if reads or (len(given.operands) < 2 and not changes):
        return False
    outside = given.has("--global", "--system", "--file") or bool(given.letters & set("fe"))
    return outside or any(_PROGRAM_SETTING.match(word) for word in given.operands)


_LOSSES: Mapping[str, Callable[[_Given], bool]] = {
    "push": _push,
    "reset": lambda given: given.has("--hard", "--merge", "--keep"),
    "clean": _clean,
    "branch": lambda given: given.is_forced or bool(given.letters & set("DMC")),
    "checkout": _checkout,
    "switch": lambda given: given.is_forced or "C" in given.letters or given.has("--discard-changes", "--force-create"),
    "restore": _restore,
    "rm": lambda given: given.is_forced or not given.has("--cached", "--dry-run"),
    "tag": lambda given: given.is_forced or "d" in given.letters or given.has("--delete"),
    "gc": lambda given: given.has("--prune"),
    "config": _config,
    **dict.fromkeys(
        ("fetch", "pull", "worktree", "submodule", "mv"),
        lambda given: given.is_forced or any(word.startswith("+") for word in given.operands),
    ),
}
