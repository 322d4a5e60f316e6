"""A request or an attempt changes its session by Effects only, and one executor writes them."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRITES = {
    "calls": {"move", "insert"},
    "plans": {"add", "store"},
    "rules": {"add"},
    "runs": {"start", "resume", "request_cancel", "close", "release", "take_over", "close_alone"},
    "sessions": {"create"},
    "messages": {"append"},
    "llm_calls": {"insert"},
    "webhooks": {"add"},
}
"""The functions of `storage/tables/` that a decision or the end of an attempt leads to."""
EXECUTOR = "runs/apply.py"
TAKEN_OVER = {"runs/drive/recovery.py": {"take_over"}}
"""The claim of an orphan."""
COPIES = {"api/routes/sessions.py": {"create"}, "runs/fork.py": {"append"}}
"""New sessions without a run."""


def written() -> dict[str, set[str]]:
    """Which of these functions each module of `api` and `runs` calls."""
    found: dict[str, set[str]] = {}
    for path in (file for package in ("api", "runs") for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr=function)):
                    if function in WRITES.get(table, set()):
                        found.setdefault(str(path.relative_to(ROOT)), set()).add(function)
    return found


def test_requests_and_attempts_are_written_by_one_executor() -> None:
    found = written()
    assert found.pop(EXECUTOR) >= {"move", "store", "insert", "append", "start", "resume", "close", "request_cancel"}
    others = {name: made - (COPIES | TAKEN_OVER).get(name, set()) for name, made in found.items()}
    assert {name: made for name, made in others.items() if made} == {}


def test_runs_end_and_are_announced_in_one_place() -> None:
    ending = {name for name, made in written().items() if made & {"close", "close_alone", "add"}}
    assert ending == {EXECUTOR}
