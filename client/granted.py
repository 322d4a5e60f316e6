"""`--allow COMMAND`: a decision that the person gives before the run, matched like a grant that a session remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client.decider import Decider, hitl_decision, is_dangerous
from client.question import Question
from errors import ConfigurationError
from policy.decide import Call, Environment, Facts, Rights, decide
from policy.rules import Rules
from policy.verdicts.verdict import Verdict
from tools.catalog import BY_NAME
from wire.protocol import Chunk, HitlDecision, PlanDecision

_TOOL = "execute_command"
_PERSON = Rights("person", "Person", frozenset(BY_NAME), "any")


@dataclass(frozen=True)
class Grants:
    """What the person allows beforehand, in one workspace."""

    environment: Environment
    rules: Rules
    granted: tuple[Mapping[str, Any], ...] = ()
    """Session rules, as the policy proposes them to be remembered (docs/policy.md)."""

    @classmethod
    def of(cls, commands: Sequence[str], environment: dict[str, Any], rules: Rules) -> Grants:
        """Read the commands; raises ConfigurationError for one that no session would remember either."""
        grants = cls(Environment.read(environment), rules)
        granted: list[Mapping[str, Any]] = []
        for command in commands:
            verdict = grants._judge({"command": command})
            if verdict.decision == "allow":
                continue
            if verdict.decision != "ask" or not verdict.remember_options:
                why = verdict.reasons[0].text if verdict.reasons else verdict.ask_reason
                raise ConfigurationError(
                    f"--allow '{command}' cannot be given beforehand, a person must decide: {why}."
                )
            granted += [option.rule for option in verdict.remember_options]
        return cls(grants.environment, rules, tuple(granted))

    def cover(self, call: Chunk) -> bool:
        """Whether a session that remembered the grants would not ask about a call."""
        if call.tool_name != _TOOL or is_dangerous(call) or not self.granted:
            return False
        return self._judge(dict(call.arguments or {})).decision == "allow"

    def _judge(self, arguments: dict[str, Any]) -> Verdict:
        facts = Facts(environment=self.environment, session_rules=self.granted)
        return decide(Call(_TOOL, arguments), _PERSON, facts, self.rules)


class Granting:
    """Approves what was granted beforehand and leaves the rest to another decider."""

    def __init__(self, grants: Grants, otherwise: Decider) -> None:
        self._grants = grants
        self._otherwise = otherwise

    def decide_call(self, call: Chunk, question: Question) -> HitlDecision:
        """Approve a call that the grants cover; the other decider decides the rest."""
        if self._grants.cover(call):
            return hitl_decision(call, "approve")
        return self._otherwise.decide_call(call, question)

    def confirm(self, call: Chunk, sentence: str, question: Question) -> bool:
        """Let the other decider confirm: a grant is about the policy, not about what this client found."""
        return self._otherwise.confirm(call, sentence, question)

    def decide_plan(self, plan: Chunk, question: Question) -> PlanDecision:
        """Let the other decider decide."""
        return self._otherwise.decide_plan(plan, question)

    def answer(self, suggestions: list[str], question: Question) -> str | None:
        """Let the other decider answer."""
        return self._otherwise.answer(suggestions, question)
