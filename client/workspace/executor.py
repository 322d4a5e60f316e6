"""The tools that a client executes, by name: what comes back is a result, or an error sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from client.workspace.files import create_directory, list_files, read_file, write_file
from client.workspace.folder import Refusal, Workspace, reason_of
from client.workspace.search import search_in_code
from client.workspace.shell import CommandSlot, execute_command
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
    changed: tuple[str, ...] = ()
    """The paths that the call wrote or created, relative to the workspace."""

    def as_message(self, call_id: str) -> dict[str, Any]:
        """Return the tool_result message."""
        outcome = {"error": self.error} if self.error else {"result": self.result}
        return {"type": "tool_result", "call_id": call_id, **outcome}


class Executor(Protocol):
    """Runs the tool calls of a session on the user's machine."""

    def environment(self) -> dict[str, Any]:
        """Describe the machine as the `environment` of a user_message (docs/protocol.md, `user_message`)."""
        ...

    def execute(
        self, tool_name: str, arguments: dict[str, Any], execution: Mapping[str, Any] | None, time_left_s: float
    ) -> ToolOutcome:
        """Run one call; never raises for what the call asks. `execution` is the contract of an unasked command."""
        ...

    def stop(self) -> None:
        """End the process groups of the command that runs; safe from any thread, nothing to do is no error."""
        ...


class WorkspaceExecutor:
    """Runs tool calls in one folder, one call at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._slot = CommandSlot()

    def environment(self) -> dict[str, Any]:
        """See Executor."""
        return self._workspace.environment()

    def execute(
        self,
        tool_name: str,
        arguments: dict[str, Any],
        execution: Mapping[str, Any] | None = None,
        time_left_s: float = float("inf"),
    ) -> ToolOutcome:
        """See Executor."""
        self._workspace.changed = []
        try:
            _check(tool_name, arguments)
            if tool_name == "execute_command":
                result = execute_command(self._workspace, arguments, execution, time_left_s, self._slot)
            else:
                result = _FILE_TOOLS[tool_name](self._workspace, arguments)
        except Refusal as refusal:
            return ToolOutcome(error=str(refusal))
        except OSError as error:
            subject = arguments.get("path") or arguments.get("cwd") or tool_name
            return ToolOutcome(error=f"'{subject}': {reason_of(error)}.")
        return ToolOutcome(result=result, changed=tuple(self._workspace.changed))

    def stop(self) -> None:
        """See Executor."""
        self._slot.stop()


def _check(tool_name: str, arguments: dict[str, Any]) -> None:
    tool = BY_NAME.get(tool_name)
    if tool is None or tool.runs != "ide":
        raise Refusal(f"This client has no tool '{tool_name}'.")
    misfit = tool.misfit(arguments)
    if misfit:
        raise Refusal(f"The arguments do not fit {tool_name}: {misfit}.")
