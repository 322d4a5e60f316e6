"""Packages from another place than the tool's registry, and packages that are fetched and run at once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from policy.shell.always_ask import names_of
from policy.shell.danger.words import WORDS

_URL = re.compile(
    r"(?:git\+|git:|github:|gitlab:|bitbucket:|https?:|ssh:|file:|ftp:)|.*@(?:https?|git)[+:]|.*\.git(?:#.*)?$|git@"
)
_INSTALL_VERBS = names_of("install add i get ci update upgrade download repo")
_SYSTEM = names_of("apt apt-get dnf yum pacman apk dpkg rpm brew snap choco")
_PUBLISHERS = names_of("npm yarn pnpm cargo gem poetry uv dart flutter pub")


def is_address(word: str) -> bool:
    """Say whether a word is the address of a package rather than its name."""
    return bool(_URL.match(word))


def runs_package(name: str, arguments: Sequence[str]) -> bool:
    """A package runner fetches what is not installed; well-known tools of a project are."""
    rest = [word for word in arguments if not word.startswith("-") and word not in {"run", "tool"}]
    if {"--no-install", "--no", "--offline"}.intersection(arguments):
        return False
    if name == "pipx" and arguments[:1] not in (["run"], ["install"]):
        return False
    return not rest or rest[0] not in WORDS["known_tools"] or "-c" in arguments


def installs_foreign(name: str, arguments: Sequence[str], operands: Sequence[str]) -> bool:
    """Packages from elsewhere than the registry of the tool, and package runners written as a subcommand."""
    if any(is_address(word) for word in operands):
        return True
    if name == "brew" and operands[:1] == ["tap"] and len(operands) > 1:
        return True
    verbs = set(operands[:2])
    creates = operands[:1] == ["create"] and name in {"npm", "yarn", "pnpm", "bun"}
    if creates or (name == "go" and operands[:1] == ["run"] and "@" in "".join(operands)):
        return True
    if operands[:1] == ["dlx"] or (name == "npm" and operands[:1] in (["exec"], ["x"], ["init"]) and len(operands) > 1):
        rest = [word for word in operands[1:] if word not in {"dlx", "exec", "x"}]
        return not rest or rest[0] not in WORDS["known_tools"]
    if verbs & _INSTALL_VERBS or name in {
        "easy_install",
        "cpanm",
    }:
        if WORDS["foreign_sources"].intersection(word.partition("=")[0] for word in arguments):
            return not (name in {"pip", "pip2", "pip3", "apt", "apt-get"} and not _foreign(arguments))
        if name in {"npm", "yarn", "pnpm", "bun"} and any(
            re.fullmatch(r"[\w.-]+/[\w.-]+(?:#.*)?", word) for word in operands[1:]
        ):
            return True
    if name in _PUBLISHERS:
        return bool(verbs & {"publish", "unpublish", "deprecate", "owner", "yank"}) and "--dry-run" not in arguments
    if name in _SYSTEM:
        return bool(verbs & {"remove", "purge", "autoremove", "uninstall", "erase"}) or "-R" in arguments
    return False


def _foreign(arguments: Sequence[str]) -> bool:
    return any(
        word.partition("=")[0] in {"--index-url", "--extra-index-url", "--find-links", "--trusted-host", "--index"}
        or (word in {"-i", "-f"} and "://" in " ".join(arguments))
        for word in arguments
    )
