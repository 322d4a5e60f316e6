"""Measures routing: labelled requests through the classifier or the keywords."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import HumanMessage

from agents.classification import classify_by_keywords
from context import Context
from evaluation.tasks import Request
from evaluation.trial import NO_REPLY
from nodes.router import classify

HARMLESS = frozenset({"ask", "architect"})
"""Agents whose requests must not go to the coder: it would change files without being asked to."""


@dataclass(frozen=True)
class Routed:
    """One request and the agent that was chosen for it."""

    request: Request
    agent: str
    method: str
    unmeasured: bool = False
    """Whether the model gave no reply, so that keywords chose."""

    @property
    def right(self) -> bool:
        """Whether the labelled agent was chosen."""
        return self.agent == self.request.expect

    @property
    def harmful(self) -> bool:
        """Whether a question or a design was sent to the coder."""
        return self.agent == "coder" and self.request.expect in HARMLESS


async def route(request: Request, models: Any | None) -> Routed:
    """Route a request as the first of its conversation; without models by keywords."""
    if models is None:
        found = classify_by_keywords(request.text)
        return Routed(request, found.agent, found.method)
    errors: list[str] = []

    def take(event: Mapping[str, Any]) -> None:
        errors.extend(filter(None, [(event.get("metadata") or {}).get("error")]))

    found = await classify([HumanMessage(request.text)], Context(models=models), take)
    return Routed(request, found.agent, found.method, unmeasured=bool(NO_REPLY.intersection(errors)))


def confusion(routed: Sequence[Routed]) -> dict[str, dict[str, int]]:
    """Count the requests by labelled agent and chosen agent."""
    counts = Counter((r.request.expect, r.agent) for r in routed)
    names = sorted({name for pair in counts for name in pair})
    return {expected: {got: counts[expected, got] for got in names} for expected in names}
