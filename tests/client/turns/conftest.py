"""A turn loop that works in a folder and talks to a scripted runtime."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from client.decider import Decider
from client.session import Session
from client.terminal.display import Display
from client.time_limit import TimeLimit
from client.turn_loop import TurnLoop
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.sandbox.boundary import Boundary, NoBoundary
from client.workspace.sandbox.confinement import Confinement
from tests.client.runtime_double import KEY, Reply, RuntimeDouble, runtime

PLAN = {
    "approval_request_id": "plan-approval-p",
    "plan_id": "p",
    "plan_summary": {"title": "T", "subtasks": []},
    "metadata": {},
}


@dataclass
class Talk:
    loop: TurnLoop
    double: RuntimeDouble
    output: StringIO

    def message(self, number: int) -> dict[str, Any]:
        return self.double.messages[number]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("one\n")
    return tmp_path


@contextmanager
def talk(
    root: Path, decider: Decider, *replies: Reply, seconds: float = 20, boundary: Boundary | None = None
) -> Iterator[Talk]:
    output = StringIO()
    with runtime(*replies) as double, closing(Session(double.url, KEY, TimeLimit(seconds))) as session:
        workspace = Workspace(root)
        display = Display(Console(file=output, width=100), workspace)
        yield Talk(
            TurnLoop(session, decider, display, WorkspaceExecutor(workspace, Confinement(boundary or NoBoundary()))),
            double,
            output,
        )
