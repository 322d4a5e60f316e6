"""Checks of the paths of a call: their form, their class, and what the agent may write."""

from __future__ import annotations

from typing import Literal

from policy.findings import Findings, shown
from policy.paths.canonical import CanonicalPath, canonicalise
from policy.paths.classes import Family
from policy.rules import Rules
from policy.shell.grants import writes_granted
from policy.shell.operands import Place, picks_secrets
from policy.verdicts.facts import Call, Facts, Rights
from policy.verdicts.unproven import Unproven
from policy.verdicts.verdict import Match, Reason
from tools.tool import PathArgument, Reach, Tool


def check_paths(call: Call, tool: Tool, agent: Rights, facts: Facts, rules: Rules, found: Findings) -> None:
    """Judge every path of a call: its form, its class, the file rules of the agent, and the rules."""
    access: Literal["read", "write"] = "write" if tool.access == "write" else "read"
    paths: list[CanonicalPath] = []
    for argument in tool.path_arguments(call.arguments):
        path = _canonical(argument, facts, found)
        if path is not None:
            paths.append(path)
            _guard(path, access, str(argument.value), facts, found)
            _check_file_rule(path, argument, access, agent, found)
    if access == "write" and agent.writes == "markdown" and not paths:
        found.restrict("deny", Reason("agent.tool", f"Tool '{call.tool}' is not allowed for {agent.title} agent"))
    for glob, reach in tool.glob_arguments(call.arguments):
        _check_glob(glob, reach, found)
    names = [path.text for path in paths]
    found.apply_rules(tool, names, rules.rules)
    granted = (writes_granted(name, tool.names_in_rules, facts.session_rules) for name in names)
    if access == "write" and names and all(granted):
        found.is_granted = True
        found.matched.append(Match("session", "Writing there was granted for this session."))


def _canonical(argument: PathArgument, facts: Facts, found: Findings) -> CanonicalPath | None:
    raw = argument.value
    if not isinstance(raw, str):
        found.restrict("deny", Reason("tool.arguments", "Path is not allowed: it is missing or no text"))
        return None
    try:
        path = canonicalise(raw, argument.kind, facts.environment.workspace_root)
    except Unproven as unproven:
        found.restrict(
            "deny", Reason(unproven.code, f"Path '{shown(raw)}' is not allowed: {unproven.text}"), unproven.danger
        )
        return None
    return path


def _check_file_rule(
    path: CanonicalPath, argument: PathArgument, access: Literal["read", "write"], agent: Rights, found: Findings
) -> None:
    if access == "write" and agent.writes == "markdown" and (path.extension != ".md" or argument.kind == "directory"):
        text = (
            f"{agent.title} agent can only create/edit markdown (.md) files. "
            f"File '{shown(argument.value)}' is not allowed. {agent.who_writes}"
        )
        found.restrict("deny", Reason("agent.file_rule", text.strip()))


def _guard(path: CanonicalPath, access: Literal["read", "write"], raw: str, facts: Facts, found: Findings) -> None:
    family = path.family(access)
    if found.path_class in (None, "ordinary"):
        found.path, found.path_class = path, family.name
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


def _check_glob(glob: str, reach: Reach, found: Findings) -> None:
    """Judge a glob of file names like a path."""
    parts = glob.replace("\\", "/").split("/")
    if glob.startswith(("/", "\\", "~")) or ".." in parts or (len(glob) > 1 and glob[1] == ":"):
        text = f"Path '{shown(glob)}' is not allowed: the pattern leads out of the workspace"
        found.restrict("deny", Reason("path.outside", text), "high")
    elif reach == "content" and picks_secrets(glob):
        found.restrict("ask", Reason("path.secret", f"'{shown(glob)}' picks out files with secrets"), "high")


def check_cwd(cwd: object, facts: Facts, found: Findings) -> Place:
    """Judge the directory of a command and return it."""
    root = facts.environment.workspace_root
    if cwd is None:
        return Place(root=root)
    if not isinstance(cwd, str):
        found.restrict("deny", Reason("tool.arguments", "Command is not allowed: its cwd is no text"))
        return Place()
    try:
        path = canonicalise(cwd, "directory", root)
    except Unproven as unproven:
        found.restrict(
            "deny", Reason(unproven.code, f"Path '{shown(cwd)}' is not allowed: {unproven.text}"), unproven.danger
        )
        return Place()
    family = path.family("read")
    if family.read != "allow":
        found.restrict("ask", Reason(_class_code(family), f"'{shown(cwd)}' is {family.what}"), "high")
    return Place(path.components, root)
