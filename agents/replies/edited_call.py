"""Arguments that a person edited: they pass the tool's schema and the whole policy again."""

from __future__ import annotations

from typing import Any

from agents.roster import ROSTER
from json_text import has_large_integer
from policy.decide import Call, Facts, decide
from policy.rules import Rules
from tools.catalog import BY_NAME


def refusal_of_edit(
    tool_name: str, agent_name: str, arguments: dict[str, Any], facts: Facts, rules: Rules
) -> str | None:
    """Say why edited arguments are refused; a question is answered by the edit itself (docs/scenarios.md S7)."""
    misfit = BY_NAME[tool_name].misfit(arguments)
    if has_large_integer(arguments):
        misfit = "an integer has more than 64 bits; write it as a string"
    if misfit:
        return f"The edited arguments do not fit the tool: {misfit}"
    agent = ROSTER[agent_name]
    verdict = decide(Call(tool_name, arguments), agent.rights(agent.tools), facts, rules)
    if verdict.decision == "deny":
        return f"The edited arguments are not allowed: {verdict.reasons[0].text}"
    return None
