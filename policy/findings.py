"""The findings of the policy's stages about one call; a restriction is never removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from policy.paths.canonical import CanonicalPath
from policy.rules import Rule
from policy.shell.command import Examination
from policy.verdicts.display import shorten_display
from policy.verdicts.verdict import Danger, Decision, Match, Reason, Segment
from tools.tool import Tool


@dataclass
class Findings:
    """The findings so far."""

    restrictions: list[tuple[Decision, Reason, Danger]] = field(default_factory=list)
    matched: list[Match] = field(default_factory=list)
    is_granted: bool = False
    path: CanonicalPath | None = None
    path_class: str | None = None
    examination: Examination | None = None
    segments: tuple[Segment, ...] = ()

    def restrict(self, decision: Decision, reason: Reason, danger: Danger = "normal") -> None:
        """Record a restriction; nothing removes it later."""
        self.restrictions.append((decision, reason, danger))

    def apply_rules(self, tool: Tool, paths: Sequence[str], rules: Sequence[Rule]) -> None:
        """Apply the rules to a call and its paths: one path is enough to restrict, all are needed to grant."""
        for rule in rules:
            places: Sequence[str | None] = paths or [None]
            spoken = [path for path in places if any(rule.matches_path(name, path) for name in tool.names_in_rules)]
            if not spoken or (rule.decision == "allow" and len(spoken) < len(places)):
                continue
            path = spoken[0]
            self.matched.append(Match(rule.id, rule.why))
            if rule.decision == "allow":
                self.is_granted = True
                continue
            text = rule.why
            if rule.decision == "deny":
                subject = f"Tool '{tool.name}'" if path is None else f"Path '{shown(path)}'"
                text = f"{subject} is not allowed: {rule.why}"
            self.restrict(rule.decision, Reason(f"rule.{rule.id}", text, rule=rule.id))


def shown(text: object) -> str:
    """Return a model's text as a message may quote it: short, on one line, hidden characters escaped."""
    return shorten_display(str(text), 200).replace("\n", "\\n")
