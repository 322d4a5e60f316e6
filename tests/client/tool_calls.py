"""Runs a tool call as the turn loop does: examined first, then executed, its concerns approved."""

from typing import Any

from client.workspace.executor import ToolOutcome, WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import ToolRequest


def execute(
    workspace: Workspace, tool: str, arguments: dict[str, Any], time_left_s: float = float("inf"), **more: Any
) -> ToolOutcome:
    """Examine and run one call; `more` are further fields of the request."""
    executor = WorkspaceExecutor(workspace)
    return executor.execute(executor.examine(ToolRequest(tool, arguments, **more)), time_left_s)
