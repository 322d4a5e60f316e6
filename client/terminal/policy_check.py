"""`agent-runtime policy check`: the verdict of the policy on a call, without running it."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agents.roster import ROSTER
from client.configuration import client_settings
from client.terminal.text import shown
from client.workspace.folder import workspace_at
from client.workspace.project.rules import ProjectRules
from errors import AgentUnknown, BadRequest, ConfigurationError
from policy.decide import Call, Environment, Facts, decide
from policy.rules import load_rules
from policy.verdicts.verdict import Verdict

_STYLES = {"allow": "bold green", "ask": "bold yellow", "deny": "bold red"}


def check_call(tool: str, arguments: str, agent: str, workspace: Path, declared: dict[str, str]) -> Verdict:
    """Judge a call as for `chat` in this workspace: the settings' rules, and the project's, which only restrict.

    `declared` wins over what the machine is; a note about the project's rules goes to stderr.
    """
    entry = ROSTER.get(agent)
    if entry is None:
        raise AgentUnknown(f"There is no agent '{agent}'; the agents are {', '.join(ROSTER)}.")
    try:
        parsed = json.loads(arguments)
    except ValueError as error:
        raise BadRequest(f"The arguments are not JSON: {error}.") from error
    if not isinstance(parsed, dict):
        raise BadRequest("The arguments are not a JSON object.")
    settings = client_settings()
    rules = load_rules(settings.policy_file, settings.policy_profile)
    if not workspace.is_dir():
        raise ConfigurationError(f"There is no folder '{workspace}'.")
    folder = workspace_at(workspace)
    project = ProjectRules.read(folder)
    for note in project.notes:
        Console(stderr=True).print(shown(note, "yellow"))
    facts = Facts(environment=Environment.read(folder.environment() | {"rules": project.declared} | declared))
    return decide(Call(tool, parsed), entry.rights(entry.tools), facts, rules)


def print_verdict(verdict: Verdict, *, as_json: bool = False) -> None:
    """Print a verdict for a person, or as JSON in the form of `POST /policy/check`."""
    console = Console()
    wire = verdict.as_wire()
    if as_json:
        console.out(json.dumps(wire, ensure_ascii=False, indent=2), highlight=False)
        return
    console.print(Text(verdict.decision, _STYLES[verdict.decision]) + Text(f"  danger {verdict.danger}", "dim"))
    for number, segment in enumerate(verdict.segments, start=1):
        console.print(Text(f"  {number}. {segment.verdict:5} ", "dim") + shown(" ".join(segment.argv)))
    for reason in verdict.reasons:
        console.print(Text("  why: ", "dim") + shown(f"{reason.text} ({reason.code})"))
    for match in verdict.matched:
        console.print(Text("  rule: ", "dim") + shown(f"{match.id}: {match.why}"))
    for option in verdict.remember_options:
        console.print(Text("  may be remembered: ", "dim") + shown(option.label))
    if verdict.path is not None:
        console.print(Text("  path: ", "dim") + shown(f"{verdict.path} ({verdict.path_class})"))
