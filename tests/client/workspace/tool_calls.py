"""Runs a tool call as the turn loop does: examined first, then executed, its concerns approved."""

from typing import Any

from client.workspace.executor import ToolOutcome, WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import ToolRequest
from client.workspace.sandbox.boundary import Boundary, NoBoundary
from client.workspace.sandbox.confinement import Confinement


def execute(
    workspace: Workspace,
    tool: str,
    arguments: dict[str, Any],
    time_left_s: float = float("inf"),
    boundary: Boundary | None = None,
    **more: Any,
) -> ToolOutcome:
    """Examine and run one call; `more` are further fields of the request."""
    executor = WorkspaceExecutor(workspace, Confinement(boundary or NoBoundary()))
    return executor.execute(executor.examine(ToolRequest(tool, arguments, **more)), time_left_s)
