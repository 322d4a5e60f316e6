"""Where a write goes: an ordinary file, or one that starts programs, holds credentials or belongs to the system."""

from __future__ import annotations

import re
from collections.abc import Iterable

from policy.paths.canonical import relativised
from policy.paths.classes import family_of
from policy.shell.danger.words import WORDS

_HOME = re.compile(
    r"(?:~[\w.-]*|\$HOME|\$\{HOME\}|%USERPROFILE%|\$env:USERPROFILE|/home/[^/]+|/Users/[^/]+|/root)(?=[/\\]|$)"
)
_KNOWN_VARIABLE = re.compile(r"\$\{?(?:PWD|OLDPWD|TMPDIR|TMP|TEMP|RUNNER_TEMP|GITHUB_OUTPUT|GITHUB_ENV)\}?")
_SCRATCH = re.compile(r"(?:/private)?/(?:tmp|var/tmp|var/folders)(?:/|$)")
_HARMLESS_DEVICE = re.compile(r"/dev/(?:null|stdout|stderr|tty|fd/[0-9]+)")
_BRACES = re.compile(r"([^{}]*)\{([^{}]*)\}([^{}]*)")


def is_guarded(target: str, root: str | None = None) -> bool:
    """Say whether a write to this path, as a shell would read it, is more than the change of an ordinary file."""
    return any(_is_guarded(name, root) for name in _expanded(target))


def names_credentials(word: str) -> bool:
    """Say whether a word names a file with secrets."""
    if " " in word or len(word) > 1000:
        return False
    pieces = [piece for piece in re.split(r"[=:@,]", word) if piece]
    return any(family_of(_components(piece), "read").name in {"secrets", "package_credentials"} for piece in pieces)


def _expanded(target: str) -> Iterable[str]:
    found = _BRACES.fullmatch(target)
    if found is None or "," not in found.group(2):
        return [target]
    before, choices, after = found.groups()
    return [f"{before}{choice}{after}" for choice in choices.split(",")]


def _is_guarded(target: str, root: str | None) -> bool:
    path = relativised(target, root) if root else target
    path = _KNOWN_VARIABLE.sub("/tmp", path, count=1) if _KNOWN_VARIABLE.match(path) else path  # noqa: S108
    if not path or path in {"$()", "<()"} or _HARMLESS_DEVICE.fullmatch(path):
        return path in {"$()", "<()"}
    if home := _HOME.match(path):
        below = _components(path[home.end() :])
        return bool(below) and (below[0].startswith(".") or below[0] in WORDS["home_folders"])
    if path.startswith(("$", "%")):
        return True
    parts = _components(path)
    if path.startswith("/") or re.match(r"[A-Za-z]:[\\/]", path):
        return not _SCRATCH.match(path)
    if parts and parts[0] == "..":
        parts = [part for part in parts if part != ".."]
        if parts and parts[0] in WORDS["system_folders"]:
            return True
    if any(part in WORDS["start_files"] for part in parts):
        return True
    return family_of(parts, "write").write != "allow" or "$" in path.split("/")[0]


def _components(path: str) -> list[str]:
    return [part for part in re.split(r"[/\\]", path) if part not in {"", "."}]
