"""The tools that a client executes, by name: what comes back is a result, or an error sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from client.workspace.content.reading import bytes_of
from client.workspace.edits import edit_file, planned_edit
from client.workspace.files import create_directory, glob, list_files, read_file, write_file
from client.workspace.folder import FileChange, Located, Refusal, Workspace, reason_of
from client.workspace.git_configuration import git_concerns
from client.workspace.journal.commands import CommandChanges
from client.workspace.judgement import holds_secret, is_allowed, judge_target, writes
from client.workspace.operands import commands_of, link_concerns
from client.workspace.project.git_state import git_state
from client.workspace.project.instructions import ProjectInstructions
from client.workspace.project.rules import ProjectRules
from client.workspace.request import Concern, Examination, ToolRequest
from client.workspace.sandbox.boundary import declared
from client.workspace.sandbox.confinement import Confinement
from client.workspace.search import search_in_code
from client.workspace.shell import CommandSlot, execute_command
from client.workspace.variables import command_environment
from policy.decide import Environment
from tools.catalog import BY_NAME
from tools.create_directory import CREATE_DIRECTORY
from tools.edit_file import EDIT_FILE
from tools.execute_command import EXECUTE_COMMAND
from tools.glob import GLOB
from tools.list_files import LIST_FILES
from tools.read_file import READ_FILE
from tools.search_in_code import SEARCH_IN_CODE
from tools.write_file import WRITE_FILE

_FILE_TOOLS = {
    READ_FILE.name: read_file,
    LIST_FILES.name: list_files,
    CREATE_DIRECTORY.name: create_directory,
    SEARCH_IN_CODE.name: search_in_code,
    GLOB.name: glob,
}
_WRITING_TOOLS = {WRITE_FILE.name: write_file, EDIT_FILE.name: edit_file}
_KNOWN = frozenset({*_FILE_TOOLS, *_WRITING_TOOLS, EXECUTE_COMMAND.name})
"""The tools that this client has code for; the server's catalog may hold more."""
_DECLARED = [name for name in BY_NAME if name in _KNOWN and BY_NAME[name].declared]
"""The tools beyond those of every client, which the server offers because this client names them."""


@dataclass(frozen=True)
class ToolOutcome:
    """What came of one call: `error` is set when it could not be done."""

    result: Any = None
    error: str | None = None
    changed: tuple[str, ...] = ()
    """The paths that the call changed, relative to the workspace."""
    edits: tuple[FileChange, ...] = ()
    """The first small files that a command changed."""
    warning: str | None = None
    """What the person is told beside the result."""
    blame: str | None = None
    """Why the sandbox may have made the call fail; then it may be asked for once more without it."""

    def as_message(self, call_id: str) -> dict[str, Any]:
        """Return the tool_result message."""
        outcome = {"error": self.error} if self.error else {"result": self.result}
        return {"type": "tool_result", "call_id": call_id, **outcome}


class Executor(Protocol):
    """Runs the tool calls of a session on the user's machine: each is examined first, then executed."""

    def environment(self) -> dict[str, Any]:
        """Describe the machine as the `environment` of a user_message (docs/protocol.md, `user_message`)."""
        ...

    def begin_turn(self, session_id: str) -> None:
        """Let the changes that follow belong to a new turn."""
        ...

    def untold(self, session_id: str) -> list[str]:
        """Take the sentences with which the next request of a session is to begin."""
        ...

    def examine(self, request: ToolRequest) -> Examination:
        """Examine a call without running it; never raises for the content of the call."""
        ...

    def execute(self, examination: Examination, time_left_s: float) -> ToolOutcome:
        """Run an examined call whose concerns were approved; never raises for the content of the call."""
        ...

    def changed(self) -> Sequence[str]:
        """Name the paths that calls changed since `begin_turn`, relative to the workspace, without repeats."""
        ...

    def stop(self) -> None:
        """End the process groups of the command that runs; safe from any thread, nothing to do is no error."""
        ...


class WorkspaceExecutor:
    """Runs tool calls in one folder, one call at a time."""

    def __init__(
        self,
        workspace: Workspace,
        confinement: Confinement | None = None,
        rules: ProjectRules | None = None,
        instructions: ProjectInstructions | None = None,
    ) -> None:
        self._workspace = workspace
        self._confinement = confinement or Confinement()
        self._rules = rules or ProjectRules()
        self._instructions = instructions or ProjectInstructions(workspace)
        self._slot = CommandSlot()
        self._session_id: str | None = None
        self._git_state: dict[str, Any] | None = None
        self._command_changes: CommandChanges | None = None
        self._changed: list[str] = []

    def environment(self) -> dict[str, Any]:
        """Describe the machine; the project's instructions are read again for each message.

        The state of git is that of the session's beginning: it stands before the conversation in every request, and a
        change of it would cost the server's cache of all that follows.
        """
        machine = self._machine()
        if machine["has_git"] and (self._git_state is None or self._session_id is None):
            self._git_state = git_state(self._workspace, self._confinement) or {}
        instructions = self._instructions.read(machine)
        machine |= {"git_state": self._git_state} if self._git_state else {}
        return machine | ({"instructions": instructions} if instructions else {})

    def begin_turn(self, session_id: str) -> None:
        """Begin a new turn of the journal of changes; with another session, look at the repository again."""
        self._changed, self._workspace.changed = [], []
        if session_id != self._session_id:
            self._session_id, self._git_state = session_id, None
        if self._workspace.journal is not None:
            self._workspace.journal.begin_turn(session_id)

    def untold(self, session_id: str) -> list[str]:
        """Return the undone changes that the model was not told of yet."""
        return self._workspace.journal.untold(session_id) if self._workspace.journal is not None else []

    def _machine(self) -> dict[str, Any]:
        """What the policy needs of the environment."""
        own = {"tools": _DECLARED, "sandbox": declared(self._confinement.boundary)}
        declaration = self._workspace.environment() | own
        return declaration | ({"rules": list(self._rules.declared)} if self._rules.declared else {})

    def examine(self, request: ToolRequest) -> Examination:
        """Check the arguments, the resolved path, the policy on that path, and the precondition of a write."""
        is_command = request.tool_name == EXECUTE_COMMAND.name
        try:
            _check_arguments(request)
            located = self._locate(request)
            concerns = judge_target(request, located, Environment.read(self._machine()))
            concerns += self._command_concerns(request, located)
            if request.precondition is not None and not is_command:
                request.precondition.check(bytes_of(self._workspace, located))
            # A refusal would tell what a secret holds; its edit is planned when it was approved.
            if request.tool_name == EDIT_FILE.name and not holds_secret(located):
                planned_edit(self._workspace, request.arguments, located, request.precondition)
        except Refusal as refusal:
            return Examination(request, refusal=str(refusal))
        except OSError as error:
            return Examination(request, refusal=_failure(request, error))
        notes = (self._confinement.describe(is_asked=request.is_asked),) if is_command else ()
        return Examination(request, located, concerns, notes=notes)

    def execute(self, examination: Examination, time_left_s: float = float("inf")) -> ToolOutcome:
        """Run the examined call within the time that is left, in seconds."""
        request, located = examination.request, examination.located
        self._changed, self._workspace.changed = self.changed(), []
        if examination.refusal is not None or located is None:
            return ToolOutcome(error=examination.refusal)
        self._instructions.note_use(located)
        try:
            if request.tool_name == EXECUTE_COMMAND.name:
                return self._run_command(examination, located, time_left_s)
            result = self._run(request, located)
        except Refusal as refusal:
            return ToolOutcome(error=str(refusal))
        except OSError as error:
            return ToolOutcome(error=_failure(request, error))
        return ToolOutcome(result, changed=tuple(self._workspace.changed))

    def changed(self) -> list[str]:
        """Name what the calls of this turn changed, one that the person ended with Ctrl-C too."""
        return list(dict.fromkeys([*self._changed, *self._workspace.changed]))

    def stop(self) -> None:
        """Stop the command that runs, if there is one."""
        self._slot.stop()

    def _locate(self, request: ToolRequest) -> Located:
        if request.tool_name == EXECUTE_COMMAND.name:
            return self._workspace.locate(str(request.arguments.get("cwd") or "."))
        path = str(request.arguments.get("path", "."))
        return self._workspace.locate_for_write(path) if writes(request.tool_name) else self._workspace.locate(path)

    def _command_concerns(self, request: ToolRequest, folder: Located) -> tuple[Concern, ...]:
        """Return the concerns about a command that runs without approval; an approved one has none."""
        if request.tool_name != EXECUTE_COMMAND.name or request.is_asked:
            return ()
        commands = commands_of(request, folder)
        if commands is None:
            return (Concern("The parts of this command cannot be told apart, so its operands cannot be checked."),)
        environment = command_environment(
            self._workspace.root, is_asked=False, hints=(request.execution or {}).get("env")
        )
        is_held = self._confinement.holds_everything
        by_git = git_concerns(self._workspace, commands, environment, is_held=is_held)
        return link_concerns(self._workspace, commands) + by_git

    def _run_command(self, examination: Examination, located: Located, time_left_s: float) -> ToolOutcome:
        request = examination.request
        if set(self._command_concerns(request, located)) - set(examination.concerns):
            raise Refusal("What the command names was replaced after it was checked; nothing was run.")
        confinement = Confinement() if examination.is_unconfined else self._confinement
        shown: list[FileChange] = []
        result: dict[str, Any] | None = None
        warning = None
        try:
            with self._noting(request, confinement, shown):
                result = execute_command(self._workspace, request, located, confinement, self._slot, time_left_s)
        except OSError as error:
            if result is None:
                raise
            warning = f"What the command changed cannot be taken back: {reason_of(error)}."
        changed = tuple(self._workspace.changed)
        return ToolOutcome(result, changed=changed, edits=tuple(shown), warning=warning, blame=result.get("sandbox"))

    def _noting(
        self, request: ToolRequest, confinement: Confinement, shown: list[FileChange]
    ) -> contextlib.AbstractContextManager[None]:
        """Note what a command changes, unless the sandbox lets it write nothing or the policy knows it to only read."""
        is_held = confinement.boundary.kind != "none"
        cannot_write = not request.is_asked and (is_held or is_allowed(request, Environment.read(self._machine())))
        if self._workspace.journal is None or cannot_write:
            return contextlib.nullcontext()
        if self._command_changes is None:
            self._command_changes = CommandChanges(self._workspace, self._workspace.journal)
        return self._command_changes.noting(shown)

    def _run(self, request: ToolRequest, located: Located) -> dict[str, Any]:
        if request.tool_name in _WRITING_TOOLS:
            write = _WRITING_TOOLS[request.tool_name]
            return write(self._workspace, request.arguments, located, request.precondition)
        return _FILE_TOOLS[request.tool_name](self._workspace, request.arguments, located)


def _check_arguments(request: ToolRequest) -> None:
    if request.tool_name not in _KNOWN:
        raise Refusal(f"This client has no tool '{request.tool_name}'.")
    misfit = BY_NAME[request.tool_name].misfit(request.arguments)
    if misfit:
        raise Refusal(f"The arguments do not fit {request.tool_name}: {misfit}.")


def _failure(request: ToolRequest, error: OSError) -> str:
    subject = request.arguments.get("path") or request.arguments.get("cwd") or request.tool_name
    if isinstance(error, FileNotFoundError) and request.tool_name == READ_FILE.name:
        # small models that read only that something failed go round in circles
        return f"There is no file '{subject}': list_files finds files, write_file creates one."
    return f"'{subject}': {reason_of(error)}."
