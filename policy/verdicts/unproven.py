"""What is unproven: the first thing that keeps a command or a path from being proved harmless."""

from __future__ import annotations

from dataclasses import dataclass

from policy.verdicts.verdict import Danger, ReasonCode


@dataclass(eq=False)
class Unproven(Exception):
    """This call cannot be proved harmless."""

    code: ReasonCode
    text: str
    span: tuple[int, int] | None = None
    danger: Danger = "normal"
    lasting: bool = False
    """No rule and no session grant lifts it: wrappers, interpreters, secrets, paths outside the workspace."""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"

    def at(self, span: tuple[int, int]) -> Unproven:
        """Return a copy with its place in the command."""
        return Unproven(self.code, self.text, self.span or span, self.danger, self.lasting)
