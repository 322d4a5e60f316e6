"""The plans of the scripted architect: two or three subtasks, derived from the words of the request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm.script.files import path_for, slug
from llm.script.requests import Job, read_request

_ORDER = re.compile(
    r"^(?:please|пожалуйста|could you|можешь)?,?\s*(?:create|build|make|develop|implement|design|plan|write|architect|"
    r"создай(?:те)?|сделай|разработай|реализуй|спроектируй|спланируй|напиши|составь план)\s*"
    r"(?:(?:an?|the|new|whole|full|entire|complete|for|новое|новую|новый|для)\s+)*",
    re.IGNORECASE,
)
_WITH = re.compile(r"\b(?:with|including|having|from|с|со|включая|из)\b\s+(?P<parts>.+)$", re.IGNORECASE)


def plan_for(request: str, *, is_russian: bool, feedback: str = "") -> dict[str, Any]:
    """Make the arguments of create_plan; `feedback` is what the user said about an earlier plan."""
    goal = _ORDER.sub("", request.strip().splitlines()[0]).strip().rstrip(".!") or request.strip()
    title = (goal[:1].upper() + goal[1:])[:80]
    jobs = [job for job in read_request(request) if job.kind not in {"improve", "switch"}]
    subtasks = _of_jobs(jobs) if len(jobs) > 1 else _of_topic(request, goal, is_russian=is_russian)
    if feedback:
        subtasks = _after_feedback(subtasks, feedback, is_russian=is_russian)
    description = f"{request.strip()}\n{feedback}".strip()
    return {"title": title, "description": description, "subtasks": subtasks}


def _of_jobs(jobs: list[Job]) -> list[dict[str, Any]]:
    """Make one subtask per job of a chain; what does not fit into three goes into the last."""
    wishes = [job.wish for job in jobs]
    agents = ["coder" if job.kind not in {"read", "explain", "list", "search", "tour"} else "ask" for job in jobs]
    if len(wishes) > 3:
        wishes = [*wishes[:2], "; ".join(wishes[2:])]
        agents = [*agents[:2], "coder" if "coder" in agents[2:] else "ask"]
    return [
        _subtask(wish[:60], wish, agent, [index - 1] if index else [])
        for index, (wish, agent) in enumerate(zip(wishes, agents, strict=True))
    ]


def _of_topic(request: str, goal: str, *, is_russian: bool) -> list[dict[str, Any]]:
    found = _WITH.search(goal)
    parts = [part.strip() for part in re.split(r",|\band\b|\bи\b", found["parts"]) if part.strip()] if found else []
    parts = [_nominative(part) for part in parts]
    topic = goal[: found.start()].strip() if found else goal
    if len(parts) >= 2:
        paths = [path_for(part, f"{request} program") for part in parts[:3]]
        return [
            _subtask(
                part[:1].upper() + part[1:],
                _order(path, f"{part} ({topic})", is_russian),
                "coder",
                [n - 1] if n else [],
            )
            for n, (part, path) in enumerate(zip(parts[:3], paths, strict=True))
        ]
    main = path_for(topic, f"{request} program")
    readme = f"docs/{slug(topic)}.md"
    look = f"Объясни {main}" if is_russian else f"Explain {main}"
    return [
        _subtask("Основа" if is_russian else "Core", _order(main, goal, is_russian), "coder", []),
        _subtask("Описание" if is_russian else "Documentation", _order(readme, topic, is_russian), "coder", [0]),
        _subtask("Обзор" if is_russian else "Review", look, "ask", [0]),
    ]


def _after_feedback(subtasks: list[dict[str, Any]], feedback: str, *, is_russian: bool) -> list[dict[str, Any]]:
    without = re.search(
        r"\b(?:without|no|drop|remove|skip|без|убери)\s+(?:the\s+)?([\w-]{3,})", feedback, re.IGNORECASE
    )
    if without:
        stem = without.group(1).lower()[:5]
        kept = [task for task in subtasks if stem not in f"{task['title']} {task['description']}".lower()]
        if kept and len(kept) < len(subtasks):
            return [{**task, "dependencies": [index - 1] if index else []} for index, task in enumerate(kept)]
    jobs = read_request(feedback)
    wish = "; ".join(job.wish for job in jobs) or (_order("docs/notes.md", feedback, is_russian))
    title = "Пожелание" if is_russian else "Requested change"
    return [*subtasks, _subtask(title, wish, "coder", [len(subtasks) - 1])]


def _nominative(part: str) -> str:
    """Undo the Russian instrumental of the last word: "с регистрацией" names a "регистрация"."""
    for ending, base in (("ией", "ия"), ("ами", "ы"), ("ями", "и"), ("ой", "а"), ("ей", "я"), ("ом", ""), ("ем", "")):
        if part.endswith(ending) and len(part) > len(ending) + 2:
            return part.removesuffix(ending) + base
    return part


def _order(path: str, topic: str, is_russian: bool) -> str:
    return f"Создай {path}: {topic}" if is_russian else f"Create {path}: {topic}"


def _subtask(title: str, description: str, agent: str, dependencies: list[int]) -> dict[str, Any]:
    minutes = 5 if agent == "ask" else 10
    return {
        "title": title,
        "description": description,
        "agent": agent,
        "estimated_time_minutes": minutes,
        "dependencies": dependencies,
    }


def decision_in(value: Any) -> tuple[str, str]:
    """Read status and feedback from the tool message that answers create_plan (protocol S19)."""
    if not isinstance(value, Mapping):
        return "", ""
    return str(value.get("status", "")), str(value.get("feedback") or "")
