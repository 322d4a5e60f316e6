"""The workspace of one labelled task: its files in a folder of its own, answered for by the terminal client's tools."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import OWN_FOLDER, Workspace
from client.workspace.request import ToolRequest
from evaluation.tasks import CommandOutput
from tools.catalog import BY_NAME
from tools.execute_command import EXECUTE_COMMAND

ROOT = "/workspace"
"""The folder that the model is told, the same in every run, so that recorded replies fit."""


class FakeWorkspace:
    """Answers the calls of a client's tools; no command runs: those of the task have prepared output."""

    def __init__(self, files: Mapping[str, str], commands: Mapping[str, CommandOutput] | None = None) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="evaluation-"))
        weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        for name, text in files.items():
            path = self._root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        self._commands = dict(commands or {})
        self._executor = WorkspaceExecutor(Workspace(self._root))

    @property
    def files(self) -> dict[str, str]:
        """The text of every file by its path; backups and what is no text are left out."""
        found = {}
        for path in sorted(self._root.rglob("*")):
            name = path.relative_to(self._root)
            if path.is_file() and name.parts[0] != OWN_FOLDER:
                found[name.as_posix()] = path.read_bytes().decode(errors="replace")
        return found

    def environment(self) -> dict[str, Any]:
        """Describe the machine that the model is told about."""
        tools = self._executor.environment()["tools"]
        return {"os": "linux", "shell": "bash", "workspace_root": ROOT, "has_git": False, "tools": tools}

    def answer(self, tool_name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an approved call: what comes back resumes its interrupt; an unknown tool is an error."""
        if tool_name == EXECUTE_COMMAND.name:
            return self._prepared(str(arguments.get("command", "")))
        paths = BY_NAME[tool_name].paths or {} if tool_name in BY_NAME else {}
        relative = {name: _relative(value) if name in paths else value for name, value in arguments.items()}
        request = ToolRequest(tool_name, relative, is_asked=True)
        outcome = self._executor.execute(self._executor.examine(request))
        return {"error": outcome.error} if outcome.error is not None else {"result": _steady(outcome.result)}

    def _prepared(self, command: str) -> dict[str, Any]:
        """Give the output that the task has for a command with these words; no other command seems to run."""
        output = next((output for words, output in self._commands.items() if words in command), None)
        if output is None:
            return {"error": f"This workspace cannot run commands, and no output is prepared for: {command}"}
        return {"result": {"exit_code": output.exit_code, "stdout": output.stdout, "stderr": ""}}


def _relative(path: object) -> object:
    """Take the folder that the model is told off an absolute path below it."""
    if path == ROOT:
        return "."
    return path.removeprefix(f"{ROOT}/") if isinstance(path, str) else path


def _steady(result: Any) -> Any:
    """Leave out what differs from run to run, so that a recording fits: times, and names of backups with the time."""
    if isinstance(result, dict):
        return {key: _steady(value) for key, value in result.items() if key not in ("modified", "backup_path")}
    return [_steady(item) for item in result] if isinstance(result, list) else result
