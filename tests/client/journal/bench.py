"""A workspace whose tool calls run and whose turns are taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from client.configuration import workspace_folder
from client.workspace.executor import ToolOutcome, WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.journal.journal import Journal
from client.workspace.journal.undo import UndoReport, undo
from client.workspace.request import ToolRequest

S = "s1"


class Bench:
    """A workspace with its executor and its journal."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = Workspace(root)
        self.journal = self.workspace.journal = Journal(workspace_folder(root))
        self.executor = WorkspaceExecutor(self.workspace)

    def turn(self, *requests: tuple[str, dict[str, Any]], session: str = S) -> list[ToolOutcome]:
        """Run approved calls as one turn."""
        self.executor.begin_turn(session)
        outcomes = []
        for tool, arguments in requests:
            outcome = self.executor.execute(self.executor.examine(ToolRequest(tool, arguments, is_asked=True)))
            assert outcome.error is None, outcome
            outcomes.append(outcome)
        return outcomes

    def undo(self, *, redo: bool = False, session: str | None = S) -> UndoReport:
        report = undo(self.workspace, self.journal, session, redo=redo)
        assert report is not None
        return report

    def files(self) -> dict[str, str]:
        found = [path for path in self.root.rglob("*") if path.is_file() and ".agent-runtime" not in path.parts]
        return {path.relative_to(self.root).as_posix(): path.read_text() for path in found}


def write(path: str, content: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "write_file", {"path": path, "content": content, **more}


def edit(path: str, old: str, new: str) -> tuple[str, dict[str, Any]]:
    return "edit_file", {"path": path, "old": old, "new": new}


def command(text: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "execute_command", {"command": text, "shell": True, **more}
