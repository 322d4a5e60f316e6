"""What a person may grant for a session, and whether such a grant covers a command."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from policy.shell.always_ask import ALWAYS_ASK, names_of
from policy.shell.command import Examination, Finding
from policy.shell.lexer import Word
from policy.shell.operands import check_path
from policy.shell.options import OptionList, read_options
from policy.verdicts.unproven import Doubt
from policy.verdicts.verdict import RememberOption

GRANTS_TEXT = files("policy.shell").joinpath("grants.toml").read_text(encoding="utf-8")
SAFE_OPTIONS: Mapping[str, OptionList] = {
    prefix: OptionList.parse(entry["options"]) for prefix, entry in tomllib.loads(GRANTS_TEXT).items()
}
"""Prefixes that may be remembered with further paths, and the options known as safe for each."""

_RUNNERS = names_of(
    "uv poetry pdm hatch bundle docker podman vagrant ansible ansible-playbook pre-commit pod melos fvm just task"
)
_STRANGE = names_of(
    "install i ci add get pub exec x dlx publish deploy login logout upgrade update clean delete rm remove prune "
    "uninstall purge push pull fetch create init global config link unlink cache"
)
"""Subcommands that download, delete, publish or run other programs."""


def remember_options(examination: Examination, tool: str) -> tuple[RememberOption, ...]:
    """Propose one grant of this tool that would have covered the line, or nothing."""
    asking = [finding for finding in examination.findings if finding.doubt is not None]
    if examination.doubt is not None or examination.catastrophe or not asking:
        return ()
    if not all(_is_grantable(finding) for finding in asking):
        return ()
    grants: list[dict[str, Any]] = []
    for finding in asking:
        grant = _grant_for(finding)
        if grant not in grants:
            grants.append(grant)
    rule = {"tool": tool, "commands": grants}
    digest = hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()[:8]
    label = ", ".join(f"`{' '.join(grant['prefix'])}`" for grant in grants) + ", in this session"
    return (RememberOption(f"command-{digest}", label, rule),)


def granted_by(finding: Finding, tool: str, session_rules: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the words of the session rule that covers a segment, or None."""
    if not _is_grantable(finding):
        return None
    for rule in session_rules:
        if rule.get("tool") != tool or not isinstance(rule.get("commands"), list | tuple):
            continue
        for grant in rule["commands"]:
            if isinstance(grant, Mapping) and _covers(grant, finding):
                return " ".join(grant["prefix"])
    return None


def writes_granted(path: str, tool: str, session_rules: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether a plan's declared paths, which a person granted, name this canonical path."""
    return any(
        rule.get("tool") == tool and isinstance(rule.get("paths"), list | tuple) and path in rule["paths"]
        for rule in session_rules
    )


def _is_grantable(finding: Finding) -> bool:
    """A grant needs plain words, no redirect, and a program whose arguments are not another program."""
    doubt, argv = finding.doubt, finding.stage.argv
    if doubt is None or doubt.lasting or finding.leads_outside or finding.stage.redirects:
        return False
    if doubt.code not in {"command.project_code", "command.unknown"} or argv[0] == "git":
        return False
    if any(word.is_glob or word.value != word.value.strip() for word in finding.stage.words):
        return False
    family = ALWAYS_ASK.get(argv[0])
    if (family is not None and not family.is_grantable) or argv[0] in _RUNNERS:
        return False
    if any(word in _STRANGE for word in argv[1:3]):
        return False
    return len(argv) > 1 or argv[0] in SAFE_OPTIONS


def _known_prefix(argv: Sequence[str]) -> tuple[str, ...] | None:
    for count in (2, 1):
        if len(argv) >= count and " ".join(argv[:count]) in SAFE_OPTIONS:
            return tuple(argv[:count])
    return None


def _grant_for(finding: Finding) -> dict[str, Any]:
    argv = finding.stage.argv
    prefix = _known_prefix(argv)
    if prefix is not None:
        grant = {"prefix": list(prefix), "options": sorted(SAFE_OPTIONS[" ".join(prefix)].options), "operands": True}
        if _covers(grant, finding):
            return grant
    return {"prefix": list(argv), "options": [], "operands": False}


def _covers(grant: Mapping[str, Any], finding: Finding) -> bool:
    prefix, options = grant.get("prefix"), grant.get("options", [])
    if not isinstance(prefix, list | tuple) or not prefix or not isinstance(options, list | tuple):
        return False
    argv = finding.stage.argv
    if argv[: len(prefix)] != tuple(prefix):
        return False
    rest = finding.stage.words[len(prefix) :]
    if not rest:
        return len(prefix) > 1 or prefix[0] in SAFE_OPTIONS
    if grant.get("operands") is not True or " ".join(map(str, prefix)) not in SAFE_OPTIONS:
        return False
    return _is_safe_rest(rest, " ".join(map(str, prefix)), finding)


def _is_safe_rest(rest: Sequence[Word], prefix: str, finding: Finding) -> bool:
    try:
        reading = read_options(SAFE_OPTIONS[prefix], rest, finding.place)
        for word in reading.operands:
            check_path(word, word.value, finding.place)
    except Doubt:
        return False
    return True
