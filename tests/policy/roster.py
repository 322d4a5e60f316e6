"""The agents of the corpora with their rights, and short ways to ask for a verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.roster import ROSTER
from policy.decide import Call, Environment, Facts, Rights, decide
from policy.rules import Rules, load_rules
from policy.verdicts.verdict import Verdict

CORPORA = Path(__file__).parent.parent / "corpora"
AGENTS: Mapping[str, Rights] = {name: agent.rights(agent.tools) for name, agent in ROSTER.items()}
BASH = Environment.read({"shell": "bash"})
RULES = load_rules()


def corpus(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (CORPORA / name).read_text(encoding="utf-8").splitlines()]


def judge(
    agent: str, tool: str, arguments: Mapping[str, Any], facts: Facts | None = None, rules: Rules = RULES
) -> Verdict:
    return decide(Call(tool, arguments), AGENTS[agent], facts or Facts(BASH), rules)


def run(command: str, facts: Facts | None = None, rules: Rules = RULES, **arguments: Any) -> Verdict:
    return judge("coder", "execute_command", {"command": command, **arguments}, facts, rules)


def write(agent: str, path: str, facts: Facts | None = None, rules: Rules = RULES) -> Verdict:
    return judge(agent, "write_file", {"path": path, "content": "x"}, facts, rules)


def objects(verdict: Verdict) -> bool:
    """Whether the guard has something against the call, beyond the tool's own default question."""
    return verdict.decision == "deny" or any(reason.code != "tool.default" for reason in verdict.reasons)
