"""Plans that a model wrote instead of calling create_plan."""

from __future__ import annotations

import json

import pytest

from agents.replies.written_plan import plan_in_json, plan_in_text
from tools.catalog import BY_NAME

REQUEST = "Create a login app\nwith form and backend"


def test_a_numbered_plan_becomes_a_chain_of_subtasks() -> None:
    text = (
        "## Plan\n1. [CODER] Create lib/auth.dart (15 min)\n   - with login()\n"
        "2. **Create lib/login_page.dart**\n3. Explain how to run it\n"
    )
    plan = plan_in_text(text, REQUEST)
    assert plan is not None
    assert BY_NAME["create_plan"].misfit(plan) is None
    assert plan["title"] == "Create a login app"
    assert [
        (s["description"], s["agent"], s["estimated_time_minutes"], s["dependencies"]) for s in plan["subtasks"]
    ] == [
        ("Create lib/auth.dart", "coder", 15, []),
        ("Create lib/login_page.dart", "coder", 10, [0]),
        ("Explain how to run it", "ask", 10, [1]),
    ]


def test_russian_steps_are_read() -> None:
    plan = plan_in_text("План:\nШаг 1: Создать модель\nШаг 2: Создать экран", "Создай приложение")
    assert plan is not None
    assert [s["description"] for s in plan["subtasks"]] == ["Создать модель", "Создать экран"]


@pytest.mark.parametrize(
    "text",
    [
        "Two options:\n1. Riverpod is simple.\n2. Bloc is strict.",
        "The plan is simple: do it.",
        "1. Only one step of the plan",
        "",
    ],
)
def test_other_lists_are_no_plans(text: str) -> None:
    assert plan_in_text(text, REQUEST) is None


def test_json_plans_are_read_fenced_wrapped_and_with_gaps() -> None:
    task = {"title": "Form", "description": "Create lib/login.dart", "agent": "coder", "estimated_time_minutes": 5}
    full = {"title": "Login", "description": "A form", "subtasks": [task]}
    assert plan_in_json(json.dumps(full)) == full
    assert plan_in_json("Here is it:\n```json\n" + json.dumps({"plan": full}) + "\n```") == full
    gaps = {"goal": "Login", "steps": [{"description": "Create a.dart"}, {"title": "Tests", "dependencies": [0]}]}
    plan = plan_in_json(json.dumps(gaps))
    assert plan is not None
    assert [s["agent"] for s in plan["subtasks"]] == ["coder", "coder"]
    assert plan["subtasks"][1]["dependencies"] == [0]


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        '{"title": "x"}',
        '{"title": "x", "subtasks": []}',
        '{"title": "x", "subtasks": ["a"]}',
        '{"title": "x", "subtasks": [{"description": "y", "agent": "nobody"}]}',
        '{"title": "x", "subtasks": [{"agent": "coder"}]}',
        "{" * 300,
    ],
)
def test_other_json_is_no_plan(text: str) -> None:
    assert plan_in_json(text) is None
