"""The plans of the scripted model: the steps of the request, or its text written down and read back."""

from __future__ import annotations

from typing import Any

from llm.script.phrases import Phrases
from llm.script.request import NotUnderstood, read_request

PATH = "docs/plan.md"
_TITLE_CHARS = 80


def plan_arguments(goal: str, feedback: str, say: Phrases) -> dict[str, Any]:
    """Make the arguments of create_plan; `feedback` is what the user said about an earlier plan."""
    subtasks = _steps(goal) if not feedback else []
    if not subtasks:
        text = f"# {goal}\n{feedback}".strip().replace("```", "'''")
        subtasks = [
            (say("plan_write"), f"{say('plan_create', PATH)} ```\n{text}\n```", "coder"),
            (say("plan_read"), say("plan_explain", PATH), "ask"),
        ]
    return {
        "title": " ".join(goal.split())[:_TITLE_CHARS],
        "description": f"{goal}\n{feedback}".strip(),
        "subtasks": [
            {
                "title": title,
                "description": description,
                "agent": agent,
                "estimated_time_minutes": 5,
                "dependencies": [number - 1] if number else [],
            }
            for number, (title, description, agent) in enumerate(subtasks)
        ],
    }


def _steps(goal: str) -> list[tuple[str, str, str]]:
    """Take the goal's own steps when every one of them is understood."""
    try:
        steps = read_request(goal)
    except NotUnderstood:
        return []
    return [(s.clause[:_TITLE_CHARS], s.clause, s.verb.agent) for s in steps if s.verb.name != "plan"]
