"""A plan as data: checked when made, shown in the wire's form, advanced by subtask (docs/protocol.md, Chunks)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

NOTE_PREFIX = "plan-note:"
"""Begins the id of the message that says what became of a plan."""
NOTE_RESULT_CHARS = 500


class PlanInvalid(ValueError):
    """The plan cannot be executed as it was written."""


def build_plan(arguments: Mapping[str, Any], now: datetime, *, replaces: str | None = None) -> dict[str, Any]:
    """Make the plan of a create_plan call; raises PlanInvalid with a sentence for the model."""
    written = arguments["subtasks"]
    ids = [uuid.uuid4().hex for _ in written]
    for index, subtask in enumerate(written):
        for dependency in subtask.get("dependencies", []):
            if dependency == index:
                raise PlanInvalid(f"subtask {index} depends on itself")
            if dependency >= len(written):
                raise PlanInvalid(
                    f"subtask {index} depends on subtask {dependency}, but the last one is {len(written) - 1}"
                )
    subtasks = [
        {
            "id": ids[index],
            "title": subtask["title"],
            "description": subtask["description"],
            "agent": subtask["agent"],
            "dependencies": [ids[d] for d in dict.fromkeys(subtask.get("dependencies", []))],
            "minutes": subtask["estimated_time_minutes"],
            "status": "pending",
            "result": None,
        }
        for index, subtask in enumerate(written)
    ]
    _check_cycles(subtasks)
    return {
        "plan_id": str(uuid.uuid4()),
        "title": arguments["title"],
        "description": arguments["description"],
        "status": "draft",
        "subtasks": subtasks,
        "created_at": now.isoformat(),
        "approved_at": None,
        "replaces": replaces,
    }


def _check_cycles(subtasks: list[dict[str, Any]]) -> None:
    done: set[str] = set()
    waiting = {s["id"]: set(s["dependencies"]) for s in subtasks}
    while ready := [name for name, needs in waiting.items() if needs <= done]:
        for name in ready:
            done.add(name)
            del waiting[name]
    if waiting:
        numbers = ", ".join(str(i) for i, s in enumerate(subtasks) if s["id"] in waiting)
        raise PlanInvalid(f"the dependencies of the subtasks {numbers} form a cycle")


def next_subtask(plan: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first pending subtask whose dependencies are completed, in list order."""
    completed = {s["id"] for s in plan["subtasks"] if s["status"] == "completed"}
    return next(
        (s for s in plan["subtasks"] if s["status"] == "pending" and completed.issuperset(s["dependencies"])), None
    )


def progress(plan: Mapping[str, Any], *, started: bool) -> str:
    """`1/2`: the subtask that starts, or the number completed, of all."""
    completed = sum(s["status"] == "completed" for s in plan["subtasks"])
    return f"{completed + (1 if started else 0)}/{len(plan['subtasks'])}"


def plan_summary(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan in the form of the wire (docs/protocol.md, Chunks)."""
    return {
        "plan_id": plan["plan_id"],
        "title": plan["title"],
        "description": plan["description"],
        "goal": plan["title"],
        "status": plan["status"],
        "subtasks_count": len(plan["subtasks"]),
        "subtasks": [
            {
                "id": s["id"],
                "description": s["description"],
                "agent": s["agent"],
                "dependencies": s["dependencies"],
                "estimated_time": f"{s['minutes']} min",
                "status": s["status"],
                "metadata": {"title": s["title"]},
            }
            for s in plan["subtasks"]
        ],
        "total_estimated_time": f"{sum(s['minutes'] for s in plan['subtasks'])} min",
        "created_at": plan["created_at"],
        "approved_at": plan["approved_at"],
    }


def plan_note(plan: Mapping[str, Any], status: str) -> str:
    """What the thread keeps of a plan that ended early, so that the next plan repeats nothing that is finished."""
    lines = [
        f'Note of the runtime: the plan "{plan["title"]}" ended as {status}. Do not do again what is completed; '
        "when the user asks to go on, plan only what is left.",
    ]
    for number, subtask in enumerate(plan["subtasks"], start=1):
        stage = {"running": "interrupted", "pending": "not started", "skipped": "not started"}
        line = f"{number}. [{stage.get(subtask['status'], subtask['status'])}] {subtask['description']}"
        result = " ".join(str(subtask.get("result") or "").split())
        lines.append(f"{line} Result: {result[:NOTE_RESULT_CHARS]}" if result else line)
    return "\n".join(lines)


def plan_markdown(summary: Mapping[str, Any]) -> str:
    """The plan for people: the content of `plan_created` (docs/protocol.md, Chunks)."""
    lines = [
        f"**Goal:** {summary['goal']}",
        f"**Subtasks:** {summary['subtasks_count']}",
        f"**Total time:** {summary['total_estimated_time']}",
        "",
        *(
            f"{number}. [{s['agent'].upper()}] {s['description']} ({s['estimated_time']})"
            for number, s in enumerate(summary["subtasks"], start=1)
        ),
        "",
        'Reply "approve" to start or "reject" to drop it; any other message replaces it.',
    ]
    return "\n".join(lines)
