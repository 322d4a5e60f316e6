"""`agent-runtime` in a process of its own, forked from one that has imported the program: the imports are paid once.

Tests of the start itself (imports, light first lines, packaging) run the installed command instead.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_S = 100.0
CLIENT = ("agent_runtime", "cli", "client.terminal.run", "client.terminal.past", "client.editor.servers")
SERVER = (
    *("client.terminal.policy_check", "client.own_server", "evaluation.evaluate", "llm.client", "storage.postgres"),
    *("storage.schema", "storage.sqlite", "alembic.command", "uvicorn", "server"),
)
HEAVY = ("fastapi", "langgraph", "uvicorn", "acp")
"""What a client imports only once it starts a server or serves an editor."""


class Forked:
    """A running command, with the methods of `subprocess.Popen` that tests use; `streams` become 0, 1 and 2.

    A `light` one is forked from a process where the import of what is HEAVY fails.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        streams: Sequence[int],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str],
        new_session: bool = False,
        light: bool = False,
    ) -> None:
        self.returncode: int | None = None
        request = {
            "arguments": list(arguments),
            "cwd": str(cwd or Path.cwd()),
            "env": dict(env),
            "session": new_session,
        }
        self._supervisor = socket.socket(socket.AF_UNIX)
        self._supervisor.connect(_address(light))
        socket.send_fds(self._supervisor, [b"x"], list(streams))
        self._supervisor.sendall(json.dumps(request).encode() + b"\n")
        self._answers = self._supervisor.makefile("r")
        self.pid = int(self._answers.readline())

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._supervisor.settimeout(timeout)
            try:
                self.returncode = int(self._answers.readline())
            except TimeoutError as error:
                self._supervisor.settimeout(None)
                raise subprocess.TimeoutExpired("agent-runtime", timeout or 0) from error
            self._answers.close()
            self._supervisor.close()
        return self.returncode

    def poll(self) -> int | None:
        if self.returncode is None and _is_readable(self._supervisor):
            self.wait()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    arguments: Sequence[str], *, cwd: Path | None, env: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a command without input to its end."""
    with open(os.devnull) as nothing:
        return _run(arguments, nothing.fileno(), cwd=cwd, env=env, timeout_s=timeout_s)


def run_at_terminal(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a light command whose input is a terminal at which nobody types."""
    ours, theirs = os.openpty()
    try:
        return _run(arguments, theirs, cwd=cwd, env=env, timeout_s=timeout_s, light=True)
    finally:
        os.close(theirs)
        os.close(ours)


def _run(
    arguments: Sequence[str],
    stdin: int,
    *,
    cwd: Path | None,
    env: Mapping[str, str],
    timeout_s: float,
    light: bool = False,
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        forked = Forked(arguments, [stdin, out.fileno(), err.fileno()], cwd=cwd, env=env, light=light)
        try:
            status = forked.wait(timeout_s)
        except subprocess.TimeoutExpired:
            forked.kill()
            forked.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(arguments), status, out.read(), err.read())


def _is_readable(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        connection.setblocking(True)


@functools.cache
def _address(light: bool) -> str:
    """Start a process that has imported the program, once per test process; returns the path of its socket."""
    folder = tempfile.TemporaryDirectory()
    path = str(Path(folder.name, "s"))
    command = [sys.executable, "-m", __name__, path, *(["light"] if light else [])]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)

    def end() -> None:
        server.terminate()
        server.wait(30)
        folder.cleanup()

    atexit.register(end)
    deadline = time.monotonic() + START_S
    while not os.path.exists(path):
        assert server.poll() is None, "the program could not be imported"
        assert time.monotonic() < deadline, "the program was not imported in time"
        time.sleep(0.02)
    return path


def _serve(path: str) -> None:
    """Fork one supervisor for each connection; returns only in a process that is to run the command."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            return _supervise(connection)
        connection.close()


def _supervise(connection: socket.socket) -> None:
    """Fork the command, report its id and its end; returns only in the command's process."""
    _, streams, *_ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("r") as requests:
        request: Any = json.loads(requests.readline())
    pid = os.fork()
    if pid:
        for stream in streams:
            os.close(stream)
        connection.sendall(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    connection.close()
    if request["session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115 for its life
    sys.argv = ["agent-runtime", *request["arguments"]]


def _command() -> int:
    """Run the command with its exit handlers; the teardown of the interpreter is left out."""
    from agent_runtime import main

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 printed, as the interpreter does
        traceback.print_exc()
        return 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    is_light = sys.argv[2:] == ["light"]
    if is_light:
        sys.modules.update(dict.fromkeys(HEAVY))  # type: ignore[arg-type]  # None makes an import fail
    for module in CLIENT if is_light else CLIENT + SERVER:
        importlib.import_module(module)
    gc.freeze()
    _serve(sys.argv[1])
    os._exit(_command())
