"""The sandboxes of this machine, for real: what a command may read, write and reach, and that the rest still works."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import ToolRequest
from client.workspace.sandbox.boundary import Boundary, NoBoundary, declared
from client.workspace.sandbox.bubblewrap import Bubblewrap
from client.workspace.sandbox.choice import find_boundary, holds
from client.workspace.sandbox.confinement import Confinement
from client.workspace.sandbox.landlock import Landlock, is_supported
from client.workspace.sandbox.reach import reading, working
from client.workspace.sandbox.seatbelt import Seatbelt, profile_of
from tests.client.processes import wait_until_ended
from tests.client.workspace.tool_calls import execute

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandboxes that are tested are those of Linux")
REAL_HOME = Path.home()


@pytest.fixture(params=["bubblewrap", "landlock"])
def boundary(request: pytest.FixtureRequest) -> Boundary:
    program = shutil.which("bwrap")
    if request.param == "bubblewrap":
        if program is None:
            pytest.skip("bubblewrap is not installed")
        found: Boundary = Bubblewrap(program)
    else:
        if not is_supported():
            pytest.skip("this kernel has no Landlock that holds TCP")
        found = Landlock()
    if not holds(found):
        pytest.skip(f"{request.param} does not work on this machine")
    return found


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace and a home below the real home: temporary folders are writable for approved commands."""
    with tempfile.TemporaryDirectory(dir=REAL_HOME, prefix=".sandbox-test-") as folder:
        root = Path(folder).resolve() / "work"
        for path in (root, root.parent / "home"):
            path.mkdir()
        monkeypatch.setenv("HOME", str(root.parent / "home"))
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        (root / "a.txt").write_text("inside\n")
        (root.parent / "neighbour.txt").write_text("outside\n")
        yield Workspace(root)


def run(workspace: Workspace, boundary: Boundary, command: str, *, is_asked: bool, **arguments: Any) -> dict[str, Any]:
    outcome = execute(
        workspace, "execute_command", {"command": command, **arguments}, boundary=boundary, is_asked=is_asked
    )
    assert outcome.error is None, outcome.error
    assert isinstance(outcome.result, dict)
    return outcome.result


@contextmanager
def tcp_listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def python(code: str) -> str:
    return f"{sys.executable} -S -c '{code}'"


def connect(port: int) -> str:
    return python(f'import socket; socket.create_connection(("127.0.0.1", {port}), 5); print("connected")')


@pytest.mark.parametrize("is_asked", [False, True])
def test_output_exit_status_and_folder_pass_through(workspace: Workspace, boundary: Boundary, is_asked: bool) -> None:
    (workspace.root / "sub").mkdir()
    result = run(workspace, boundary, "pwd; cat ../a.txt; echo wrong >&2; exit 7", is_asked=is_asked, cwd="sub")
    assert result["stdout"] == f"{workspace.root}/sub\ninside\n"
    assert (result["stderr"], result["exit_code"], result["success"]) == ("wrong\n", 7, False)
    assert "sandbox" not in result
    assert run(workspace, boundary, "yes | head -n 2 | wc -l", is_asked=is_asked)["stdout"].strip() == "2"


@pytest.mark.parametrize(
    "command",
    [
        "touch new.txt",
        "echo x > a.txt",
        "rm a.txt",
        "mkdir folder",
        "mv a.txt b.txt",
        "chmod 777 a.txt",
        "ln -s a.txt link",
        "truncate -s 0 a.txt",
        "touch ../other.txt",
        "touch ~/file",
        "touch /etc/file /usr/file",
    ],
)
def test_unasked_command_writes_nothing(workspace: Workspace, boundary: Boundary, command: str) -> None:
    if isinstance(boundary, Landlock) and command.startswith("chmod"):
        pytest.skip("Landlock does not hold changes of a file's mode")
    result = run(workspace, boundary, command, is_asked=False)
    assert result["success"] is False
    assert boundary.kind in result["sandbox"]
    assert sorted(path.name for path in workspace.root.parent.rglob("*")) == ["a.txt", "home", "neighbour.txt", "work"]
    assert (workspace.root / "a.txt").read_text() == "inside\n"


def test_unasked_command_reads_nothing_outside(workspace: Workspace, boundary: Boundary) -> None:
    home = Path.home()
    for name in (".ssh/id_ed25519", ".aws/credentials", ".config/codelab-agent-runtime/config.toml", "notes.txt"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("private\n")
    (workspace.root / "out").symlink_to(home / "notes.txt")
    secrets = "~/.ssh/id_ed25519 ~/.aws/credentials ~/.config/codelab-agent-runtime/config.toml ~/notes.txt out"
    result = run(workspace, boundary, f"cat {secrets} ../neighbour.txt /etc/shadow a.txt", is_asked=False)
    assert result["stdout"] == "inside\n"
    environ = run(workspace, boundary, f"cat /proc/{os.getpid()}/environ", is_asked=False)
    assert (environ["success"], environ["stdout"]) == (False, "")


def test_unasked_command_has_no_network(workspace: Workspace, boundary: Boundary) -> None:
    with tcp_listener() as port:
        result = run(workspace, boundary, connect(port), is_asked=False)
        assert (result["success"], result["stdout"]) == (False, "")
        assert run(workspace, NoBoundary(), connect(port), is_asked=False)["stdout"] == "connected\n"
        assert run(workspace, boundary, connect(port), is_asked=True)["stdout"] == "connected\n"


def test_datagrams_are_held_where_the_boundary_says_so(workspace: Workspace, boundary: Boundary) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.5)
        port = listener.getsockname()[1]
        code = f'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b"x", ("127.0.0.1", {port}))'
        run(workspace, boundary, python(code), is_asked=False)
        try:
            arrived = listener.recv(1) == b"x"
        except TimeoutError:
            arrived = False
    assert arrived is not boundary.holds_network


def test_socket_of_another_program_is_not_reached_through_the_file_system(
    workspace: Workspace, boundary: Boundary
) -> None:
    if not boundary.holds_network:
        pytest.skip("Landlock does not hold sockets in the file system")
    path = Path.home() / "agent.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        code = f'import socket; socket.socket(socket.AF_UNIX).connect("{path}"); print("connected")'
        assert run(workspace, boundary, python(code), is_asked=False)["stdout"] == ""


def test_approved_command_writes_workspace_caches_and_temporary_files_only(
    workspace: Workspace, boundary: Boundary
) -> None:
    home = Path.home()
    (home / ".bashrc").write_text("mine\n")
    (home / ".ssh").mkdir()
    result = run(workspace, boundary, "echo new > b.txt && mkdir -p ~/.cache/tool && mktemp", is_asked=True)
    assert result["success"], result
    Path(result["stdout"].strip()).unlink()
    assert (workspace.root / "b.txt").read_text() == "new\n"
    assert (home / ".cache/tool").is_dir()
    for command in ("echo evil >> ~/.bashrc", "touch ~/.ssh/authorized_keys", "touch /usr/local/bin/evil"):
        refused = run(workspace, boundary, command, is_asked=True)
        assert refused["success"] is False
        assert "may have made this command fail" in refused["sandbox"]
    assert (home / ".bashrc").read_text() == "mine\n"
    assert list((home / ".ssh").iterdir()) == []


def test_approved_command_without_network_when_the_person_refused_it(workspace: Workspace, boundary: Boundary) -> None:
    executor = WorkspaceExecutor(workspace, Confinement(boundary, may_connect=False))
    with tcp_listener() as port:
        examined = executor.examine(ToolRequest("execute_command", {"command": connect(port)}, is_asked=True))
        result = executor.execute(examined).result
    assert (result["success"], result["stdout"]) == (False, "")


def test_own_folders_are_hidden_from_approved_commands(workspace: Workspace, boundary: Boundary) -> None:
    if boundary.kind == "landlock":
        pytest.skip("Landlock cannot hide a folder below one that is readable")
    own = Path.home() / ".config/codelab-agent-runtime"
    own.mkdir(parents=True)
    (own / "config.toml").write_text("key = 1\n")
    (Path.home() / "notes.txt").write_text("readable\n")
    result = run(workspace, boundary, "cat ~/notes.txt ~/.config/codelab-agent-runtime/config.toml", is_asked=True)
    assert result["stdout"] == "readable\n"


@pytest.mark.parametrize("is_asked", [False, True])
def test_time_limit_ends_all_that_the_command_started(workspace: Workspace, boundary: Boundary, is_asked: bool) -> None:
    marker = f"{time.time_ns() % 10**9 + 10**9}"
    result = run(workspace, boundary, f"sleep {marker} & sleep {marker}", is_asked=is_asked, timeout=1)
    assert result["timed_out"] is True
    wait_until_ended("sleep", marker)


def test_process_that_left_its_group_ends_with_bubblewrap(workspace: Workspace, boundary: Boundary) -> None:
    if boundary.kind != "bubblewrap":
        pytest.skip("only a namespace of processes holds one that left its group")
    marker = f"{time.time_ns() % 10**9 + 10**9}"
    assert run(workspace, boundary, f"setsid sleep {marker} & sleep 0.2", is_asked=True)["success"] is True
    wait_until_ended("sleep", marker)


def test_program_that_does_not_exist_is_refused(workspace: Workspace, boundary: Boundary) -> None:
    outcome = execute(
        workspace, "execute_command", {"command": "x"}, boundary=boundary, execution={"argv": [[["no-such-program"]]]}
    )
    assert outcome.error == "The command cannot be started: no-such-program: no such file or directory."


def test_git_commits_and_pushes_when_approved(workspace: Workspace, boundary: Boundary) -> None:
    bare = workspace.root.parent / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    setup = "git init -q -b main . && git -c user.name=A -c user.email=a@example commit -q --allow-empty -m first"
    assert run(workspace, boundary, setup, is_asked=True)["success"] is True
    assert run(workspace, boundary, "git log --oneline", is_asked=False)["stdout"].endswith("first\n")
    with git_over_http(bare) as url:
        pushed = run(workspace, boundary, f"git push -q {url} main", is_asked=True)
        assert pushed["success"] is True, pushed
    listed = subprocess.run(["git", "-C", str(bare), "branch"], check=True, capture_output=True, text=True)
    assert "main" in listed.stdout


@contextmanager
def git_over_http(bare: Path) -> Iterator[str]:
    """Serve a bare repository through git's own http-backend."""
    subprocess.run(["git", "-C", str(bare), "config", "http.receivepack", "true"], check=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("Content-Length") or 0)
            environment = os.environ | {
                "GIT_PROJECT_ROOT": str(bare.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(length),
                "REMOTE_ADDR": "127.0.0.1",
            }
            done = subprocess.run(
                ["git", "http-backend"], input=self.rfile.read(length), capture_output=True, env=environment, check=True
            )
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            self.send_response(200)
            for line in head.decode().split("\r\n"):
                name, _, value = line.partition(": ")
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{bare.name}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_npm_installs_when_approved(workspace: Workspace, boundary: Boundary) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    (workspace.root / "dep").mkdir()
    (workspace.root / "dep/package.json").write_text('{"name": "dep", "version": "1.0.0"}')
    (workspace.root / "package.json").write_text('{"name": "app", "dependencies": {"dep": "file:dep"}}')
    result = run(workspace, boundary, "npm install --offline --no-audit --no-fund", is_asked=True, timeout=60)
    assert result["success"] is True, result
    assert (workspace.root / "node_modules/dep/package.json").exists()
    assert (Path.home() / ".npm").is_dir()


def test_the_client_declares_what_holds(workspace: Workspace, boundary: Boundary) -> None:
    executor = WorkspaceExecutor(workspace, Confinement(boundary))
    expected = {"kind": boundary.kind, "network": boundary.kind == "landlock", "write": "none"}
    assert executor.environment()["sandbox"] == expected
    assert declared(NoBoundary()) == {"kind": "none", "network": True, "write": "workspace"}
    (note,) = executor.examine(ToolRequest("execute_command", {"command": "ls"})).notes
    assert note.startswith(f"{boundary.kind} sandbox: writes nothing, no ")


def test_boundary_that_does_not_hold_is_not_chosen() -> None:
    assert holds(NoBoundary()) is False
    assert holds(Bubblewrap("/no/such/bwrap")) is False
    assert holds(Bubblewrap(shutil.which("env") or "env")) is False
    assert find_boundary() is find_boundary()


def test_seatbelt_profile_names_what_the_reach_names(workspace: Workspace) -> None:
    """The profile's text only: it has not been tried on macOS."""
    profile = profile_of(reading(workspace.root))
    assert "(deny file-write*)" in profile
    assert "(deny network*)" in profile
    assert f'(allow file-read* (subpath "{workspace.root}"))' in profile
    assert f'(allow file-write* (subpath "{workspace.root}"' in profile_of(working(workspace.root))
    assert Seatbelt("sandbox-exec").wrapped(["ls"], workspace.root, reading(workspace.root))[-1] == "ls"
