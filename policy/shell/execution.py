"""How the IDE should run a command that needs no approval: without a shell where possible, and with quiet programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from policy.shell.parser import Stage

DEFAULT_TIMEOUT_S = 60
MAX_OUTPUT = 262_144
"""Characters; the model reads far less, but a person may scroll."""

_QUIET = {"PAGER": "cat", "TERM": "dumb"}
_QUIET_GIT = {
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_EXTERNAL_DIFF": "",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.fsmonitor",
    "GIT_CONFIG_VALUE_0": "false",
}


def execution_of(stages: Sequence[Stage], arguments: Mapping[str, Any], shell: str) -> dict[str, Any]:
    """Return the execution contract of an allowed command."""
    timeout = arguments.get("timeout")
    return {
        "argv": pipelines_of(stages),
        "env": _QUIET | (_QUIET_GIT if any(stage.argv[0] == "git" for stage in stages) else {}),
        "timeout_s": timeout if isinstance(timeout, int) and not isinstance(timeout, bool) else DEFAULT_TIMEOUT_S,
        "max_output": MAX_OUTPUT,
        "expected_shell": shell,
    }


def pipelines_of(stages: Sequence[Stage]) -> list[list[list[str]]] | None:
    """Return the line as a list of pipelines, or None where only a shell can run it (wildcards, &&, ||, cd, >)."""
    pipelines: list[list[list[str]]] = [[]]
    for stage in stages:
        needs_shell = stage.redirects or stage.argv[0] == "cd" or any(word.is_glob for word in stage.words)
        if needs_shell or stage.operator in {"&&", "||"}:
            return None
        pipelines[-1].append(list(stage.argv))
        if stage.operator != "|":
            pipelines.append([])
    return [pipeline for pipeline in pipelines if pipeline]
