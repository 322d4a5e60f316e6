"""How the client runs a command that needs no approval: without a shell where possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from policy.shell.additions import additions_of
from policy.shell.parser import Stage

DEFAULT_TIMEOUT_S = 60
MAX_OUTPUT = 262_144
"""Characters; the model reads far less, but a person may scroll."""

_QUIET = {"PAGER": "cat", "TERM": "dumb", "RIPGREP_CONFIG_PATH": ""}
_GIT_CONFIG = {
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "log.showSignature": "false",
    "format.pretty": "medium",
    "diff.submodule": "short",
    "diff.ignoreSubmodules": "dirty",
}
"""Settings on the command line that override the repository's configuration, which is untrusted."""

_QUIET_GIT = {
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_CONFIG_COUNT": str(len(_GIT_CONFIG)),
    **{f"GIT_CONFIG_KEY_{number}": key for number, key in enumerate(_GIT_CONFIG)},
    **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(_GIT_CONFIG.values())},
}
_ONLY_SHELL = frozenset({"cd", "type"})
_CUTTERS = frozenset({"head", "tail", "cat"})


def execution_of(stages: Sequence[Stage], arguments: Mapping[str, Any], shell: str) -> dict[str, Any]:
    """Return the execution contract of an allowed command (docs/policy.md, "How a client runs an allowed command")."""
    timeout = arguments.get("timeout")
    return {
        "argv": pipelines_of(stages),
        "env": _QUIET | (_QUIET_GIT if any(stage.argv[0] == "git" for stage in stages) else {}),
        "timeout_s": timeout if isinstance(timeout, int) and not isinstance(timeout, bool) else DEFAULT_TIMEOUT_S,
        "max_output": MAX_OUTPUT,
        "expected_shell": shell,
    }


def pipelines_of(stages: Sequence[Stage]) -> list[list[list[str]]] | None:
    """Return a proved line as a list of pipelines, or None where only a shell can run it (wildcards, &&, ||, cd, >)."""
    if needs_shell(stages):
        return None
    pipelines: list[list[list[str]]] = [[]]
    for stage in stages:
        pipelines[-1].append(_executed(stage))
        if stage.operator != "|":
            pipelines.append([])
    return [pipeline for pipeline in pipelines if pipeline]


def needs_shell(stages: Sequence[Stage]) -> bool:
    """Say whether only a shell can run a line.

    Without one, what a program says on stderr is reported apart: that is all `2>/dev/null` or `2>&1` change. An option
    with a wildcard (`--include=*.py`) is given as written, as a shell does where no file has such a name.
    """
    for number, stage in enumerate(stages):
        following = stages[number + 1].argv[0] if stage.operator == "|" else None
        reported_apart = {"2>/dev/null"} | ({"2>&1"} if following is None or following in _CUTTERS else set())
        if (
            stage.operator in {"&&", "||"}
            or stage.argv[0] in _ONLY_SHELL
            or not reported_apart.issuperset(stage.redirects)
            or any(word.is_glob and not word.value.startswith("-") for word in stage.words)
        ):
            return True
    return False


def _executed(stage: Stage) -> list[str]:
    """Return the words of a command with the additions that keep it a plain read."""
    additions = additions_of(stage)
    words = [additions.instead.get(number, word) for number, word in enumerate(stage.argv)]
    place = len(words) if additions.place is None else additions.place
    return [*words[:place], *additions.words, *words[place:]]
