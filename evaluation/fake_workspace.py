"""The workspace of one labelled task: its files in a folder of its own, answered for by the terminal client's tools."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.roster import DOCUMENT_TOOLS
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import OWN_FOLDER, Refusal, Workspace
from client.workspace.precondition import Precondition
from client.workspace.request import ToolRequest
from evaluation.tasks import CommandOutput
from tools.catalog import BY_NAME
from tools.execute_command import EXECUTE_COMMAND
from tools.read_file import READ_FILE

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
        self._workspace = Workspace(self._root)
        self._executor = WorkspaceExecutor(self._workspace)
        self._known: dict[str, str | None] = {}
        """By path: the digest that the last whole read or write told; None after a read of a part."""

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
        path = self._name(relative.get("path"))
        precondition = self._presumed(path) if tool_name in DOCUMENT_TOOLS else None
        request = ToolRequest(tool_name, relative, is_asked=True, precondition=precondition)
        outcome = self._executor.execute(self._executor.examine(request))
        if outcome.error is not None:
            return {"error": outcome.error}
        if tool_name in DOCUMENT_TOOLS or tool_name == READ_FILE.name:
            self._known[path] = outcome.result.get("sha256", self._known.get(path))
        return {"result": _steady(outcome.result)}

    def _presumed(self, path: str) -> Precondition | None:
        """What a write presumes, as the server says it with the call (`runs/drive/precondition.py`)."""
        if path not in self._known:
            return Precondition(None)
        digest = self._known[path]
        return Precondition(digest) if digest is not None else None

    def _name(self, path: object) -> str:
        try:
            return self._workspace.locate(str(path)).name
        except Refusal:
            return str(path)  # the executor refuses it with its own sentence

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
