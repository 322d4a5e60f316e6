"""Who does the jobs: an agent with its tools, who may hand over to another one."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm.script.history import Outcome
from llm.script.phrases import Phrases


@dataclass(frozen=True)
class Call:
    """A tool call that a job wants."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """What a job did, in the user's language."""

    text: str
    is_done: bool = True
    """False: of the rest of the chain only what looks and changes nothing is done."""
    is_effect: bool = False
    """Whether anything was changed or run."""


class Blocked(Exception):
    """No agent that can be reached has the tool that a job needs."""


Work = Generator[Call, Outcome, Report]


@dataclass
class Worker:
    """Whoever does the jobs of one reply: the offered tools, the language, and what is known of the turn."""

    tools: frozenset[str]
    say: Phrases
    switched_to: set[str] = field(default_factory=set)

    @property
    def is_architect(self) -> bool:
        """Whether plans are this agent's way to get code written."""
        return "create_plan" in self.tools

    def use(self, tool: str, **arguments: Any) -> Generator[Call, Outcome, Outcome]:
        """Make a call, by way of another agent when this one lacks the tool or the right."""
        mode = "architect" if tool == "create_plan" else "coder"
        if tool not in self.tools:
            yield from self._hand_over(mode, tool)
        outcome = yield Call(tool, arguments)
        if outcome.kind == "denied" and f"switch to {mode}" in outcome.result.lower() and self._may_switch(mode):
            yield from self._hand_over(mode, tool)
        return outcome

    def _may_switch(self, mode: str) -> bool:
        return "switch_mode" in self.tools and mode not in self.switched_to

    def _hand_over(self, mode: str, tool: str) -> Generator[Call, Outcome, None]:
        if not self._may_switch(mode):
            raise Blocked(self.say.no_tool(tool))
        outcome = yield Call("switch_mode", {"mode": mode, "reason": self.say.hand_over(tool)})
        self.switched_to.add(mode)  # once is enough, whatever came of it
        raise Blocked(self.say.no_switch(mode, outcome.reason))
