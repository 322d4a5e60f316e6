"""execute_command: one command in the workspace, with a time limit, an output cap and no way to outlive its call."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

from client.workspace.folder import Located, Refusal, Workspace, check_unchanged, reason_of
from client.workspace.request import ToolRequest
from client.workspace.sandbox.confinement import Confinement
from client.workspace.variables import command_environment

DEFAULT_TIMEOUT_S = 60
MAX_OUTPUT_BYTES = 200_000
_HEAD_SHARE = 0.3
_SHELL_SYNTAX = re.compile(r"[|&;<>()$`\\\"'*?\[\]{}!#~=\n%]")


def execute_command(
    workspace: Workspace,
    request: ToolRequest,
    folder: Located,
    confinement: Confinement,
    slot: CommandSlot,
    time_left_s: float,
) -> dict[str, Any]:
    """Run the command in a located folder and report its exit code and output; `slot` lets another thread stop it.

    `sandbox` in the report says that the sandbox may have made the command fail.
    """
    arguments, contract = request.arguments, request.execution or {}
    if not folder.target.is_dir():
        raise Refusal(f"There is no folder '{folder.written}'.")
    with workspace.folder_of(folder) as (name, above):
        check_unchanged(folder, os.stat(name, dir_fd=above, follow_symlinks=False))
    wanted_s = float(arguments.get("timeout") or contract.get("timeout_s") or DEFAULT_TIMEOUT_S)
    timeout_s = min(wanted_s, float(contract.get("timeout_s") or wanted_s), time_left_s)
    hints = {str(name): str(value) for name, value in (contract.get("env") or {}).items()}
    environment = command_environment(workspace.root, is_asked=request.is_asked, hints=hints)
    pipelines = [
        [_wrapped(words, workspace, folder, request, environment, confinement) for words in pipeline]
        for pipeline in _pipelines(workspace, request, environment)
    ]
    max_bytes = min(int(contract.get("max_output") or MAX_OUTPUT_BYTES), MAX_OUTPUT_BYTES)
    run = _Run(str(folder.target), environment, timeout_s, max_bytes)
    with slot.holding(run):
        for pipeline in pipelines:
            run.run(pipeline)
    report = run.report()
    blame = confinement.blame_for(report, is_asked=request.is_asked)
    return report | ({"sandbox": blame} if blame else {})


def _wrapped(
    words: list[str],
    workspace: Workspace,
    folder: Located,
    request: ToolRequest,
    environment: Mapping[str, str],
    confinement: Confinement,
) -> list[str]:
    """Put the sandbox around one program; one that does not exist is refused in our own words."""
    if confinement.boundary.kind == "none":
        return words
    program = os.path.join(folder.target, words[0]) if "/" in words[0] else words[0]
    if shutil.which(program, path=environment.get("PATH")) is None:
        raise Refusal(f"The command cannot be started: {words[0]}: no such file or directory.")
    return confinement.wrapped(words, folder.target, workspace.root, is_asked=request.is_asked)


class CommandSlot:
    """Holds the command that runs, so that another thread can stop it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run: _Run | None = None

    @contextlib.contextmanager
    def holding(self, run: _Run) -> Iterator[None]:
        """Keep a command here while it runs."""
        with self._lock:
            self._run = run
        try:
            yield
        finally:
            with self._lock:
                self._run = None

    def stop(self) -> None:
        """Stop what is held; its report says so."""
        with self._lock:
            if self._run is not None:
                self._run.stop()


def _pipelines(workspace: Workspace, request: ToolRequest, environment: Mapping[str, str]) -> list[list[list[str]]]:
    """Choose what to start, one pipeline after the other: the cleared words, the plain words, or the shell."""
    command, wants_shell = str(request.arguments["command"]), bool(request.arguments.get("shell", False))
    contract = request.execution or {}
    if not command.strip() or "\0" in command:
        raise Refusal("The command is empty or not a command.")
    shell = workspace.shell()
    expected = contract.get("expected_shell")
    argv = contract.get("argv")
    if argv:
        return [[[str(word) for word in words] for words in pipeline] for pipeline in argv]
    if expected and (shell is None or shell.name.removesuffix(".exe") != expected):
        raise Refusal(f"The command was cleared for the shell {expected}, which is not the shell here.")
    if not wants_shell and not _SHELL_SYNTAX.search(command):
        words = command.split()
        if shell is None or shutil.which(words[0], path=environment.get("PATH")):
            return [[words]]
    if shell is None:
        if wants_shell:
            raise Refusal("There is no POSIX shell on this machine.")
        return [[_words(command)]]
    return [[[str(shell), "-c", command]]]


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise Refusal(f"The command cannot be split into words: {reason_of(error)}.") from error


class CappedOutput:
    """What a stream wrote: its beginning and its end, and how much is missing between them."""

    def __init__(self, max_bytes: int) -> None:
        self._head_bytes = int(max_bytes * _HEAD_SHARE)
        self._tail_bytes = max_bytes - self._head_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self.omitted = 0

    def add(self, block: bytes) -> None:
        """Take what was read; memory stays bounded."""
        missing = self._head_bytes - len(self._head)
        self._head += block[:missing]
        self._tail += block[missing:]
        excess = len(self._tail) - self._tail_bytes
        if excess > 0:
            del self._tail[:excess]
            self.omitted += excess

    def text(self) -> str:
        """Give the text with a marker where something is missing."""
        if not self.omitted:
            return (self._head + self._tail).decode("utf-8", "replace")
        marker = f"\n… {self.omitted} more bytes …\n"
        return self._head.decode("utf-8", "replace") + marker + self._tail.decode("utf-8", "replace")


class _Run:
    """One call: its output, and the time and place that its programs share."""

    def __init__(self, folder: str, environment: Mapping[str, str], timeout_s: float, max_bytes: int) -> None:
        self._folder, self._environment = folder, environment
        self._timeout_s = timeout_s
        self._started_at = time.monotonic()
        self._stdout, self._stderr = CappedOutput(max_bytes), CappedOutput(max_bytes)
        self._exit_code: int | None = None
        self._timed_out = False
        self._stopped = False
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []

    def stop(self) -> None:
        """End the programs with their process groups, from another thread; nothing is started any more."""
        with self._lock:
            self._stopped = True
            _signal(self._processes)

    def run(self, pipeline: list[list[str]]) -> None:
        """Run one pipeline to its end or to the time limit; what its programs left running ends with them."""
        if self._timed_out or self._stopped:
            return
        readers: list[threading.Thread] = []
        try:
            self._start(pipeline, readers)
            for process in self._processes:
                process.wait(max(0.0, self._started_at + self._timeout_s - time.monotonic()))
            self._exit_code = self._processes[-1].returncode if self._processes else None
        except subprocess.TimeoutExpired:
            self._timed_out, self._exit_code = True, None
        finally:
            # Under the lock: a process id that was waited for may belong to another program at once.
            with self._lock:
                processes, self._processes = self._processes, []
                _signal(processes)
                for process in processes:
                    process.wait()
            # A program that left its group may still hold the pipes; its output is not waited for.
            for reader in readers:
                reader.join(1.0)

    def report(self) -> dict[str, Any]:
        """Give the result of the call."""
        result = {
            "success": self._exit_code == 0,
            "exit_code": self._exit_code,
            "stdout": self._stdout.text(),
            "stderr": self._stderr.text(),
            "duration_seconds": round(time.monotonic() - self._started_at, 3),
        }
        if self._stdout.omitted or self._stderr.omitted:
            result["truncated"] = True
        if self._timed_out:
            result |= {"timed_out": True, "error": f"The command was stopped after {self._timeout_s:g} seconds."}
        elif self._stopped:
            result |= {"success": False, "exit_code": None, "error": "The command was stopped by the user."}
        return result

    def _start(self, pipeline: list[list[str]], readers: list[threading.Thread]) -> None:
        source: IO[bytes] | int = subprocess.DEVNULL
        for words in pipeline:
            try:
                with self._lock:
                    if self._stopped:
                        return
                    process = subprocess.Popen(  # noqa: S603 running approved commands is the purpose
                        words,
                        cwd=self._folder,
                        env=self._environment,
                        stdin=source,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        start_new_session=True,
                    )
                    self._processes.append(process)
            except (OSError, ValueError) as error:
                raise Refusal(f"The command cannot be started: {words[0]}: {reason_of(error)}.") from error
            finally:
                if not isinstance(source, int):
                    source.close()
            assert process.stdout is not None
            assert process.stderr is not None
            source = process.stdout
            readers.append(_read_into(self._stderr, process.stderr))
        assert not isinstance(source, int)
        readers.append(_read_into(self._stdout, source))


def _read_into(output: CappedOutput, stream: IO[bytes]) -> threading.Thread:
    def drain() -> None:
        with stream:
            while block := os.read(stream.fileno(), 65536):
                output.add(block)

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    return reader


def _signal(processes: list[subprocess.Popen[bytes]]) -> None:
    """Kill the programs and all that they started; each leads a process group of its own."""
    for process in processes:
        if sys.platform == "win32":
            process.kill()
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
