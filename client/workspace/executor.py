"""The tools that a client executes, by name: what comes back is a result, or an error sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from client.workspace.files import create_directory, list_files, read_file, write_file
from client.workspace.folder import Refusal, Workspace, reason_of
from client.workspace.search import search_in_code
from client.workspace.shell import execute_command
from tools.catalog import BY_NAME

_FILE_TOOLS = {
    "read_file": read_file,
    "write_file": write_file,
    "list_files": list_files,
    "create_directory": create_directory,
    "search_in_code": search_in_code,
}


@dataclass(frozen=True)
class ToolOutcome:
    """What came of one call: `error` is set when it could not be done."""

    result: Any = None
    error: str | None = None

    def as_message(self, call_id: str) -> dict[str, Any]:
        """Return the tool_result message."""
        outcome = {"error": self.error} if self.error else {"result": self.result}
        return {"type": "tool_result", "call_id": call_id, **outcome}


def execute(
    workspace: Workspace,
    tool_name: str,
    arguments: dict[str, Any],
    execution: Mapping[str, Any] | None = None,
    time_left_s: float = float("inf"),
) -> ToolOutcome:
    """Run one tool call in the workspace; never raises for what a call asks."""
    try:
        _check(tool_name, arguments)
        if tool_name == "execute_command":
            return ToolOutcome(result=execute_command(workspace, arguments, execution, time_left_s))
        return ToolOutcome(result=_FILE_TOOLS[tool_name](workspace, arguments))
    except Refusal as refusal:
        return ToolOutcome(error=str(refusal))
    except OSError as error:
        subject = arguments.get("path") or arguments.get("cwd") or tool_name
        return ToolOutcome(error=f"'{subject}': {reason_of(error)}.")


def _check(tool_name: str, arguments: dict[str, Any]) -> None:
    tool = BY_NAME.get(tool_name)
    if tool is None or tool.runs != "ide":
        raise Refusal(f"This client has no tool '{tool_name}'.")
    misfit = tool.misfit(arguments)
    if misfit:
        raise Refusal(f"The arguments do not fit {tool_name}: {misfit}.")
