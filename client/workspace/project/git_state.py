"""The state of the workspace's git repository for the agents' prompt, read without running what it configures."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from typing import Any

from client.workspace.folder import Workspace
from client.workspace.git_configuration import git_concerns
from client.workspace.operands import SimpleCommand
from client.workspace.sandbox.confinement import Confinement
from client.workspace.variables import command_environment

TIMEOUT_S = 3
_STATUS = (
    *("git", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "status", "--porcelain=v2"),
    *("--branch", "--no-renames", "--untracked-files=normal", "--ignore-submodules=all"),
)


def git_state(workspace: Workspace, confinement: Confinement) -> dict[str, Any] | None:
    """Return `git_state` of the protocol's environment; None where git cannot be asked safely, or not in time.

    git runs in the sandbox, with no configuration but the repository's own, and only while all of that is known to
    start no program (docs/threat-model.md).
    """
    environment = _without_configuration(command_environment(workspace.root, is_asked=False))
    if git_concerns(workspace, [SimpleCommand(_STATUS, ())], environment, is_held=False):
        return None
    words = confinement.wrapped([*_STATUS], workspace.root, workspace.root, is_asked=False)
    try:
        listed = subprocess.run(  # noqa: S603 the words are ours, the repository's configuration starts nothing
            words, cwd=workspace.root, env=environment, capture_output=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None  # git is missing, refuses the repository, or takes too long: the branch is still declared
    return _counted(listed.stdout.decode("utf-8", "replace").splitlines())


def _without_configuration(environment: dict[str, str]) -> dict[str, str]:
    """Leave out what leads git elsewhere, and the person's filters, which attributes of the repository would start."""
    kept = {name: value for name, value in environment.items() if not name.startswith("GIT_")}
    for name in ("HOME", "XDG_CONFIG_HOME"):
        kept.pop(name, None)
    return kept | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _counted(lines: Iterable[str]) -> dict[str, Any]:
    """Count the lines of `git status --porcelain=v2 --branch`."""
    counts = dict.fromkeys(("staged", "modified", "conflicted", "untracked"), 0)
    found: dict[str, Any] = {}
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            if name == "branch.upstream":
                found["upstream"] = value
            elif name == "branch.ab":
                ahead, _, behind = value.partition(" ")
                found |= {"ahead": int(ahead), "behind": -int(behind)}
        elif kind == "?":
            counts["untracked"] += 1
        elif kind == "u":
            counts["conflicted"] += 1
        elif kind in ("1", "2"):
            counts["staged"] += rest[0] != "."
            counts["modified"] += rest[1] != "."
    return counts | found
