"""A request changes its session by Effects only: one executor writes them, and the closing of a run the rest."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRITES = {
    "calls": {"move", "insert"},
    "plans": {"add", "store"},
    "rules": {"add"},
    "runs": {"start", "resume", "end_paused", "request_cancel", "close", "take_over"},
    "webhooks": {"announce"},
    "sessions": {"create", "touch", "set_agent"},
}
"""The functions of `storage/tables/` that a decision leads to."""
EXECUTOR = "runs/apply.py"
RUN_END = "runs/run_end.py"
"""Where every run ends, and the receiver of webhooks is told."""
ATTEMPTS = ("runs/drive/",)
"""What an attempt leaves behind when it ends: it is no request, and fenced by its number."""
COPIES = {"api/routes/sessions.py": {"create"}, "runs/fork.py": {"create", "touch", "set_agent"}}
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


def test_requests_are_written_by_one_executor() -> None:
    found = {name: made for name, made in written().items() if not name.startswith(ATTEMPTS)}
    assert found.pop(RUN_END) == {"close", "end_paused", "announce"}
    assert found.pop(EXECUTOR) >= {"move", "store", "set_agent", "start", "resume", "request_cancel"}
    others = {name: made - COPIES.get(name, set()) for name, made in found.items()}
    assert {name: made for name, made in others.items() if made} == {}


def test_runs_end_and_are_announced_in_one_place() -> None:
    ending = {name for name, made in written().items() if made & {"close", "end_paused", "announce"}}
    assert ending == {RUN_END}
