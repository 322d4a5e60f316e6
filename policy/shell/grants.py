"""What a person may grant for a session, and whether such a grant covers a command."""

from __future__ import annotations

import hashlib
import json
import shlex
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from policy.shell.always_ask import ALWAYS_ASK, names_of
from policy.shell.command import Examination, Finding
from policy.shell.lexer import Word
from policy.shell.operands import check_path
from policy.shell.options import OptionList, read_options, take_apart
from policy.verdicts.unproven import Unproven
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
    """Propose grants of this tool that would have covered the line, the wider one first, or nothing."""
    asking = [finding for finding in examination.findings if finding.unproven is not None]
    if examination.unproven is not None or examination.hard_deny or not asking:
        return ()
    if not all(_is_grantable(finding) for finding in asking):
        return ()
    exact = _option(tool, [_exactly(finding.stage.argv) for finding in asking], "exactly, in this session")
    wider = _option(tool, [_grant_for(finding) for finding in asking], "in this session")
    return (wider, exact) if any(grant["operands"] for grant in wider.rule["commands"]) else (exact,)


def remember_writes(path: str, tool: str) -> tuple[RememberOption, ...]:
    """Propose to grant what this tool writes below the folder of a file; the workspace itself is too much."""
    folder = path.rpartition("/")[0]
    if not folder:
        return ()
    return (_remembered({"tool": tool, "below": folder}, f"{tool} below `{folder}`, in this session"),)


def _option(tool: str, grants: Sequence[dict[str, Any]], reach: str) -> RememberOption:
    unique = [grant for number, grant in enumerate(grants) if grant not in grants[:number]]
    words = ", ".join(f"`{shlex.join(grant['prefix'])}`" for grant in unique)
    return _remembered({"tool": tool, "commands": unique}, f"{words}, {reach}")


def _remembered(rule: Mapping[str, Any], label: str) -> RememberOption:
    kind = "command" if "commands" in rule else "folder"
    digest = hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()[:8]
    return RememberOption(f"{kind}-{digest}", label, rule)


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


def writes_granted(path: str, tools: Collection[str], session_rules: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether a person granted writes to this canonical path: a plan's declared paths, or all below a folder."""
    for rule in session_rules:
        paths, folder = rule.get("paths"), rule.get("below")
        if rule.get("tool") not in tools:
            continue
        if isinstance(paths, list | tuple) and path in paths:
            return True
        if isinstance(folder, str) and folder.strip("./") and path.startswith(f"{folder}/"):
            return True
    return False


def _is_grantable(finding: Finding) -> bool:
    """A grant needs plain words, no redirect, and a program whose arguments are not another program."""
    unproven, argv = finding.unproven, finding.stage.argv
    if unproven is None or unproven.lasting or finding.leads_outside or finding.stage.redirects:
        return False
    if unproven.code not in {"command.project_code", "command.unknown"} or argv[0] == "git":
        return False
    if any(word.is_glob or word.value != word.value.strip() or _opens_more(word) for word in finding.stage.words):
        return False
    family = ALWAYS_ASK.get(argv[0])
    if (family is not None and not family.is_grantable) or argv[0] in _RUNNERS:
        return False
    if any(word in _STRANGE for word in argv[1:3]):
        return False
    return len(argv) > 1 or argv[0] in SAFE_OPTIONS


def _opens_more(word: Word) -> bool:
    """A file of arguments (`@args`), and `--`, behind which the program may take words for another program."""
    return word.value == "--" or word.value.startswith("@") or "=@" in word.value


def _known_prefix(argv: Sequence[str]) -> tuple[str, ...] | None:
    for count in (2, 1):
        if len(argv) >= count and " ".join(argv[:count]) in SAFE_OPTIONS:
            return tuple(argv[:count])
    return None


def _grant_for(finding: Finding) -> dict[str, Any]:
    """Return the grant of a command: its words up to the last option, then clean paths and options known as safe."""
    argv = finding.stage.argv
    known = _known_prefix(argv)
    if known is not None:
        name = " ".join(known)
        grant = {
            "prefix": list(_through_options(finding, known)),
            "options": sorted(SAFE_OPTIONS[name].options),
            "operands": True,
        }
        if _covers(grant, finding):
            return grant
    return _exactly(argv)


def _exactly(argv: Sequence[str]) -> dict[str, Any]:
    return {"prefix": list(argv), "options": [], "operands": False}


def _through_options(finding: Finding, known: Sequence[str]) -> Sequence[str]:
    """Return the words up to the last option and its value: without them the grant would be wider."""
    words = finding.stage.words[len(known) :]
    try:
        reading = take_apart(SAFE_OPTIONS[" ".join(known)], words)
    except Unproven:
        return finding.stage.argv
    ends = [word.start for word in words if word.value.startswith("-")] + [word.start for _, word, _ in reading.values]
    last = max(ends, default=-1)
    return [*known, *(word.value for word in words if word.start <= last)]


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
    known = _known_prefix([str(word) for word in prefix])
    if grant.get("operands") is not True or known is None:
        return False
    return _is_safe_rest(rest, " ".join(known), finding)


def _is_safe_rest(rest: Sequence[Word], prefix: str, finding: Finding) -> bool:
    try:
        reading = read_options(SAFE_OPTIONS[prefix], rest, finding.place)
        for word in reading.operands:
            if word.value.lower() in {"true", "false"}:
                return False  # some programs take it for the value of the flag before it
            check_path(word, word.value, finding.place)
    except Unproven:
        return False
    return True
