"""A plan that a model wrote as text or JSON instead of calling create_plan: read into the arguments of that call."""

from __future__ import annotations

import json
import re
from typing import Any

from agents.roster import BY_LABEL, CHECKED_TOOLS, SPECIALISTS, SUBTASK_AGENTS, WRITER
from llm.tool_calls import WrittenCall, written_call
from routing.keywords import best_agent, find_cues
from tools.create_plan import CREATE_PLAN

MINUTES = 10
MAX_SUBTASKS = 50
_TITLE_CHARS = 80
_AGENT_OF = {**{label: agent.name for label, agent in BY_LABEL.items()}, **{a.name: a.name for a in SPECIALISTS}}
_CARRIES_OUT = frozenset(agent.name for agent in SUBTASK_AGENTS)
_NAMED = "|".join(map(re.escape, _AGENT_OF))
_STEP = re.compile(
    r"^(?:#{1,6}\s*)?(?:\*\*)?\s*(?:(?:step|шаг|task|задача)\s*)?(\d{1,2})\s*[.):]\s*(.+)$", re.IGNORECASE
)
_TAG = re.compile(
    rf"[\[(]\s*({_NAMED})\s*[\])]:?|\b({'|'.join(sorted(map(re.escape, _CARRIES_OUT)))})\s*:\s*", re.IGNORECASE
)
_MINUTES = re.compile(r"\(?~?\s*(\d{1,3})\s*(?:min(?:ute)?s?|мин\w*)\.?\s*\)?", re.IGNORECASE)
_SAYS_PLAN = re.compile(r"\b(plan|steps?|subtasks?|roadmap)\b|\b(план\w*|шаг\w*|этап\w*|подзадач\w*)\b", re.IGNORECASE)


def plan_in_json(text: str) -> dict[str, Any] | None:
    """Find the arguments of create_plan as a JSON object in a text, fenced or raw; None unless they fit the tool."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        found = _as_arguments(value)
        if found is not None:
            return found
        start = text.find("{", end)
    return None


def plan_in_text(text: str, request: str) -> dict[str, Any] | None:
    """Read a numbered list of steps as a plan, each step after the one before; None when it does not look like one."""
    steps, first = _steps(text)
    if not 2 <= len(steps) <= MAX_SUBTASKS:
        return None
    tagged = any(_TAG.search(step) for step in steps)
    if not tagged and not _SAYS_PLAN.search("\n".join(text.splitlines()[: first + 1])):
        return None
    title = next((line.strip() for line in request.splitlines() if line.strip()), "Plan")
    subtasks = [_subtask(step, index) for index, step in enumerate(steps)]
    return {"title": title[:_TITLE_CHARS], "description": request.strip() or title, "subtasks": subtasks}


def _as_arguments(value: Any) -> dict[str, Any] | None:
    """Take a JSON value for a plan when it is one, with what small models leave out filled in."""
    if not isinstance(value, dict):
        return None
    inner = next((value[key] for key in ("plan", CREATE_PLAN.name) if isinstance(value.get(key), dict)), value)
    written = inner.get("subtasks") or inner.get("steps") or inner.get("tasks")
    title = inner.get("title") or inner.get("goal") or inner.get("name")
    if not isinstance(title, str) or not isinstance(written, list) or not written:
        return None
    if not all(isinstance(task, dict) for task in written):
        return None
    description = inner.get("description")
    arguments = {
        "title": title,
        "description": description if isinstance(description, str) and description else title,
        "subtasks": [_completed(task) for task in written],
    }
    return arguments if CHECKED_TOOLS[CREATE_PLAN.name].misfit(arguments) is None else None


def _completed(task: dict[str, Any]) -> dict[str, Any]:
    description = task.get("description") or task.get("task") or task.get("title")
    minutes = task.get("estimated_time_minutes")
    agent = str(task.get("agent", "")).strip().lower()
    completed = {
        "title": task.get("title") or str(description)[:_TITLE_CHARS],
        "description": description,
        "agent": _AGENT_OF.get(agent, agent) or agent_for(str(description)),
        "estimated_time_minutes": minutes if isinstance(minutes, int) and minutes > 0 else MINUTES,
    }
    return completed | ({"dependencies": task["dependencies"]} if task.get("dependencies") else {})


def _steps(text: str) -> tuple[list[str], int]:
    """The numbered lines of a text, as one row counted from 1, and the index of the first one."""
    steps: list[str] = []
    first = 0
    for index, line in enumerate(text.splitlines()):
        found = None if line[:1].isspace() else _STEP.match(line.strip())
        if found and int(found[1]) == len(steps) + 1:
            first = first if steps else index
            steps.append(found[2].replace("**", "").strip())
    return steps, first


def _subtask(step: str, index: int) -> dict[str, Any]:
    tag, minutes = _TAG.search(step), _MINUTES.search(step)
    description = _MINUTES.sub("", _TAG.sub("", step)).strip(" -–—:")
    named = _AGENT_OF[(tag[1] or tag[2]).lower()] if tag else ""
    return {
        "title": description[:_TITLE_CHARS],
        "description": description,
        "agent": named if named in _CARRIES_OUT else agent_for(description),
        "estimated_time_minutes": int(minutes[1]) if minutes and int(minutes[1]) else MINUTES,
        "dependencies": [index - 1] if index else [],
    }


def agent_for(description: str) -> str:
    """Choose the agent of a step that names none; documents and designs go to the one that may write."""
    agent = best_agent(description) if find_cues(description) - {"smalltalk"} else WRITER.name
    return agent if agent in _CARRIES_OUT else WRITER.name


def plan_call(arguments: dict[str, Any]) -> WrittenCall:
    """The call that makes a plan of these arguments."""
    return written_call("", CREATE_PLAN.name, json.dumps(arguments, ensure_ascii=False))
