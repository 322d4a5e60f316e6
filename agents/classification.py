"""The agent of a request: the classifier's reply, validated, and the keyword fallback.

Scenarios such as S19: docs/scenarios.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from agents.roster import ALONE, BY_LABEL, PLANNER, ROSTER, SPECIALISTS, WRITER, Agent
from routing.keywords import best_choice
from routing.terse import Spoken

Confidence = Literal["high", "medium", "low"]

MAX_REASON_CHARS = 300
_MAX_REPLY_CHARS = 8_000
_MAX_OBJECTS = 100

_AGENT_OF = {**BY_LABEL, **{agent.name: agent for agent in SPECIALISTS}, ALONE.name: WRITER}
"""Both label sets of the protocol: the classifier's own names, and the agents'."""


@dataclass(frozen=True)
class Classification:
    """The agent that a request goes to, and why."""

    agent: str
    confidence: Confidence
    reason: str
    method: Literal["llm", "keywords"]
    is_atomic: bool = True
    """False when the request has several steps: then its answer is a plan (S19)."""


CLASSIFICATION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "is_atomic": {"type": "boolean"},
        "agent": {"type": "string", "enum": list(BY_LABEL)},
        "confidence": {"type": "string", "enum": list(get_args(Confidence))},
    },
    "required": ["reason", "is_atomic", "agent", "confidence"],
    "additionalProperties": False,
}
"""The reply that is asked of the classifier (`response_format`)."""


def read_classification(text: str) -> Classification | None:
    """Read a classifier's reply in either label set of the protocol (docs/routing.md); None when it makes no sense."""
    for found in _objects(text):
        classification = _read_object(found)
        if classification is not None:
            return classification
    return None


def classify_by_keywords(text: str, earlier: Sequence[Spoken] = ()) -> Classification:
    """Choose an agent without a model, from the words and the form of the request.

    A short request such as "fix it" is read with what was said `earlier`, the oldest first.
    """
    chosen = best_choice(text, earlier)
    agent = ROSTER[chosen.agent]
    reason = (
        "Keyword-based: Complex task detected, requires planning"
        if agent is PLANNER
        else f"Keyword-based: Atomic task for {_label_of(agent)} agent"
    )
    return Classification(agent.name, "low", reason, "keywords", is_atomic=not chosen.has_steps)


def _label_of(agent: Agent) -> str:
    return next(label for label, named in BY_LABEL.items() if named is agent)


def _objects(text: str) -> list[dict[str, Any]]:
    """Find the JSON objects of a reply that may be raw, fenced or surrounded by prose."""
    text = text[:_MAX_REPLY_CHARS]
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    start = text.find("{")
    for _ in range(_MAX_OBJECTS):
        if start < 0:
            break
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if isinstance(value, dict):
                found.append(value)
        start = text.find("{", end)
    return found


def _read_object(found: dict[str, Any]) -> Classification | None:
    label = found.get("agent")
    agent = _AGENT_OF.get(label.strip().lower()) if isinstance(label, str) else None
    if agent is None or (_is_false(found.get("is_atomic")) and agent is not PLANNER):
        return None
    said = found.get("confidence")
    confidence = said.strip().lower() if isinstance(said, str) else ""
    reason = found.get("reason") or found.get("reasoning")
    return Classification(
        agent=agent.name,
        confidence=_confidence(confidence),
        reason=(" ".join(reason.split()) if isinstance(reason, str) else "")[:MAX_REASON_CHARS],
        method="llm",
        is_atomic=not _is_false(found.get("is_atomic")),
    )


def _confidence(said: str) -> Confidence:
    """Read the classifier's confidence; a value outside its list counts as low."""
    return next((known for known in get_args(Confidence) if known == said), "low")


def _is_false(value: object) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() == "false")
