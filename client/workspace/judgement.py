"""The policy once more, on the name that a link stands for: the server judges what a call says, not what it reaches."""

from __future__ import annotations

from functools import cache

from agents.roster import ROSTER
from client.workspace.folder import Located, Refusal
from client.workspace.request import Concern, ToolRequest
from policy.decide import Call, Environment, Facts, Rights, decide
from policy.paths.classes import family_of
from policy.rules import Rules, load_rules
from tools.catalog import BY_NAME


def judge_target(request: ToolRequest, located: Located, environment: Environment) -> tuple[Concern, ...]:
    """Judge the resolved name as if the call had said it; a denial is a Refusal, a question is a Concern."""
    if not located.is_renamed:
        return ()
    leads = f"'{located.written}' is a link and names '{located.name}'"
    if BY_NAME[request.tool_name].command is not None:
        return (Concern(f"The folder {leads}.", "high"),)
    call = Call(request.tool_name, request.arguments | {"path": located.name})
    verdict = decide(call, _rights(request), Facts(environment=environment), _rules())
    if verdict.decision == "deny":
        raise Refusal(f"{leads}: {verdict.reasons[0].text}.")
    if verdict.decision == "allow":
        return ()
    why = "; ".join(reason.text for reason in verdict.reasons if reason.code != "tool.default")
    return (Concern(f"{leads}: {why}." if why else f"{leads}.", verdict.danger),)


def is_allowed(request: ToolRequest, environment: Environment) -> bool:
    """Whether our own rules let a call run without asking: a command that they allow only reads."""
    call = Call(request.tool_name, request.arguments)
    return decide(call, _rights(request), Facts(environment=environment), _rules()).decision == "allow"


def _rights(request: ToolRequest) -> Rights:
    """The file rules of the agent that makes the call; an agent that is not known here has none of its own."""
    tools = frozenset({request.tool_name})
    agent = ROSTER.get(request.agent or "")
    if agent is not None:
        return agent.rights(tools | agent.tools)
    return Rights(request.agent or "unknown", (request.agent or "unknown").capitalize(), tools, "any")


@cache
def _rules() -> Rules:
    return load_rules()


def holds_secret(located: Located) -> bool:
    """Whether a file or folder, under its resolved name, is of a class whose reading asks (docs/policy.md)."""
    return family_of(located.parts, "read").read != "allow"


def writes(tool_name: str) -> bool:
    """Whether a tool changes what its path names; one that is not known to only read does."""
    tool = BY_NAME.get(tool_name)
    return tool is None or tool.access == "write"
