"""The file guard: the form and the class of a call's path, and what the agent may write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from policy.findings import Findings, shown
from policy.paths.canonical import CanonicalPath, canonicalise
from policy.paths.classes import Family
from policy.rules import Rules
from policy.shell.grants import writes_granted
from policy.shell.operands import Place, picks_secrets
from policy.verdicts.facts import Call, Facts, Rights
from policy.verdicts.unproven import Doubt
from policy.verdicts.verdict import Match, Reason

WRITE_TOOLS = frozenset({"write_file", "create_directory"})
FILE_TOOLS = frozenset({"read_file", "write_file"})
_PATTERN_ARGUMENTS: Mapping[str, str] = {"search_in_code": "file_pattern", "list_files": "pattern"}


def check_path_call(call: Call, agent: Rights, facts: Facts, rules: Rules, found: Findings) -> None:
    """Judge the path of a file tool: its form, its class, the file rules of the agent, and the rules."""
    raw = call.arguments.get("path", "." if call.tool == "search_in_code" else None)
    if not isinstance(raw, str):
        found.restrict("deny", Reason("tool.arguments", "Path is not allowed: it is missing or no text"))
        return
    kind: Literal["file", "directory"] = "file" if call.tool in FILE_TOOLS else "directory"
    access: Literal["read", "write"] = "write" if call.tool in WRITE_TOOLS else "read"
    try:
        path = canonicalise(raw, kind, facts.environment.workspace_root)
    except Doubt as doubt:
        found.restrict("deny", Reason(doubt.code, f"Path '{shown(raw)}' is not allowed: {doubt.text}"), doubt.danger)
        return
    found.path = path
    _guard(path, access, raw, facts, found)
    if access == "write" and agent.writes == "markdown" and (path.extension != ".md" or kind == "directory"):
        text = (
            f"{agent.title} agent can only create/edit markdown (.md) files. File '{shown(raw)}' is not allowed. "
            "For code changes, please switch to Coder agent."
        )
        found.restrict("deny", Reason("agent.file_rule", text))
    _check_pattern(call, found)
    found.apply_rules(call.tool, path.text, rules.rules)
    if access == "write" and writes_granted(path.text, call.tool, facts.session_rules):
        found.is_granted = True
        found.matched.append(Match("session", "Granted for the paths of a plan, in this session."))


def _guard(path: CanonicalPath, access: Literal["read", "write"], raw: str, facts: Facts, found: Findings) -> None:
    family = path.family(access)
    found.path_class = family.name
    decision = family.write if access == "write" else family.read
    if decision == "deny":
        code = "path.repository" if family.name == "repository" else "path.runtime_config"
        text = f"Path '{shown(raw)}' is not allowed: it is {family.what}"
        found.restrict("deny", Reason(code, text), "high")
    elif decision == "ask":
        found.restrict("ask", Reason(_class_code(family), f"'{shown(raw)}' is {family.what}"), "high")
    elif access == "write" and facts.environment.has_git is False and _seeds_repository(path):
        text = f"'{shown(raw)}' would turn the workspace into a git repository with a configuration of its own"
        found.restrict("ask", Reason("path.protected", text), "high")


def _class_code(family: Family) -> str:
    if family.name == "repository":
        return "path.repository"
    return "path.secret" if family.name in {"secrets", "package_credentials"} else "path.protected"


def _seeds_repository(path: CanonicalPath) -> bool:
    first = path.components[0].casefold() if path.components else ""
    return first in {"objects", "refs"} or (first in {"head", "config"} and len(path.components) == 1)


def _check_pattern(call: Call, found: Findings) -> None:
    """The globs of list_files and search_in_code are paths too."""
    pattern = call.arguments.get(_PATTERN_ARGUMENTS.get(call.tool, ""))
    if not isinstance(pattern, str) or not pattern:
        return
    parts = pattern.replace("\\", "/").split("/")
    if pattern.startswith(("/", "\\", "~")) or ".." in parts or (len(pattern) > 1 and pattern[1] == ":"):
        text = f"Path '{shown(pattern)}' is not allowed: the pattern leads out of the workspace"
        found.restrict("deny", Reason("path.outside", text), "high")
    elif call.tool == "search_in_code" and picks_secrets(pattern):
        found.restrict("ask", Reason("path.secret", f"'{shown(pattern)}' picks out files with secrets"), "high")


def check_cwd(cwd: object, facts: Facts, found: Findings) -> Place:
    """Judge the directory of a command and return it."""
    if cwd is None:
        return Place()
    if not isinstance(cwd, str):
        found.restrict("deny", Reason("tool.arguments", "Command is not allowed: its cwd is no text"))
        return Place()
    try:
        path = canonicalise(cwd, "directory", facts.environment.workspace_root)
    except Doubt as doubt:
        found.restrict("deny", Reason(doubt.code, f"Path '{shown(cwd)}' is not allowed: {doubt.text}"), doubt.danger)
        return Place()
    family = path.family("read")
    if family.read != "allow":
        found.restrict("ask", Reason(_class_code(family), f"'{shown(cwd)}' is {family.what}"), "high")
    return Place(path.components)
