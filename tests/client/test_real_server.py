"""The chat on the real server with the scripted model: real files change in a real folder."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from client.own_server import own_server, sqlite_url
from client.session import Session
from client.time_limit import TimeLimit
from tests.client.terminal.person import COMMAND, at_terminal
from tests.client.test_cli import agent_runtime

EXAMPLE = Path(__file__).parents[2] / "examples" / "greeter"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "greeter")
    return tmp_path / "greeter"


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "chat.db")


def script(*replies: dict[str, object]) -> str:
    return "#script\n" + json.dumps(replies)


def chat(workspace: Path, db: str, message: str, *options: str) -> tuple[int, str]:
    finished = agent_runtime(
        "chat",
        "--workspace",
        str(workspace),
        "--db",
        db,
        "--message",
        message,
        *options,
        XDG_CONFIG_HOME=str(Path(db).parent),
    )
    assert "Traceback" not in finished.stderr + finished.stdout
    return finished.returncode, finished.stdout + finished.stderr


def test_task_reads_writes_and_runs(workspace: Path, db: str) -> None:
    message = script(
        {"text": "I look first.", "tool": "read_file", "args": {"path": "greeter.py"}},
        {"tool": "write_file", "args": {"path": "hello.txt", "content": "hello\n"}},
        {"tool": "execute_command", "args": {"command": "cat hello.txt && ./greeter.py"}},
        {"text": "All three are done."},
    )
    status, output = chat(workspace, db, message, "--approve", "all", "--agent", "coder")
    assert status == 0, output
    assert (workspace / "hello.txt").read_text() == "hello\n"
    for part in ("I look first.", "+hello", "exit code 0", "All three are done.", "files changed: hello.txt"):
        assert part in output


def test_nothing_is_written_when_nothing_is_approved(workspace: Path, db: str) -> None:
    message = script({"tool": "write_file", "args": {"path": "x.txt", "content": ""}}, {"text": "Understood."})
    status, output = chat(workspace, db, message, "--approve", "none", "--agent", "coder")
    assert status == 0, output
    assert "Understood." in output
    assert not (workspace / "x.txt").exists()


def test_model_that_fails_exits_1(workspace: Path, db: str) -> None:
    status, output = chat(workspace, db, script({"fail": "llm_bad_reply"}), "--approve", "all", "--agent", "coder")
    assert status == 1, output
    assert "Failed" in output


def test_database_that_cannot_be_used_is_one_sentence(workspace: Path) -> None:
    finished = agent_runtime("chat", "-w", str(workspace), "--db", "mysql://x", "--message", "x")
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1


def test_person_approves_on_the_real_server(workspace: Path, db: str) -> None:
    message = script(
        {"tool": "read_file", "args": {"path": "greeter.py"}},
        {"tool": "write_file", "args": {"path": "greeter.py", "content": "print('edited')\n"}},
        {"text": "Finished."},
    )
    options = ("--workspace", str(workspace), "--db", db, "--message", message, "--agent", "coder")
    with at_terminal("chat", *options) as person:
        person.wait_for("+print('edited')")
        person.wait_for("Decision")
        person.type("a")
        person.wait_for("Finished.")
        assert person.leave() == 0
    assert (workspace / "greeter.py").read_text() == "print('edited')\n"
    backups = list((workspace / ".agent-runtime/backups").iterdir())
    assert len(backups) == 1


def test_run_is_cancelled_while_the_model_speaks(workspace: Path, db: str) -> None:
    message = script({"repeat": "word ", "times": 2000, "delay": 0.02})
    options = ("--workspace", str(workspace), "--db", db, "--message", message, "--agent", "coder")
    with at_terminal("chat", *options) as person:
        person.wait_for("word word")
        person.press_control_c()
        person.wait_for("The run was cancelled.")
        assert person.leave() == 1


def test_own_server_starts_and_stops(tmp_path: Path) -> None:
    with own_server(sqlite_url(tmp_path / "own.db")) as address:
        session = Session(address.url, address.key, TimeLimit(20))
        chunks = list(session.send({"type": "user_message", "content": "hello"}))
        assert chunks[0].type == "session_info"
        assert chunks[-1].type == "done"
        session.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address.url}/health", trust_env=False)


def test_chat_uses_a_server_that_runs_elsewhere(workspace: Path, db: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key, url = "served-key", f"http://127.0.0.1:{port}"
    settings = {"AGENT_RUNTIME__INTERNAL_API_KEY": key, "AGENT_RUNTIME__DB_URL": sqlite_url(Path(db))}
    command = [COMMAND, "serve", "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ | settings, stderr=subprocess.PIPE)
    try:
        wait_until_healthy(url)
        where = ("--workspace", str(workspace), "--url", url, "--key", key)
        finished = agent_runtime("chat", *where, "--message", "list files", "--approve", "all")
        assert finished.returncode == 0, finished.stderr
        assert "greeter.py" in finished.stdout
    finally:
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=30)
    assert b"Traceback" not in log, log


def wait_until_healthy(url: str) -> None:
    deadline = time.monotonic() + 100
    while True:
        try:
            if httpx.get(f"{url}/health").is_success:
                return
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)


def test_migrate_prepares_a_database(tmp_path: Path) -> None:
    done = agent_runtime("migrate", AGENT_RUNTIME__DB_URL=sqlite_url(tmp_path / "new.db"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new.db").exists()


def test_file_that_was_not_read_or_changed_meanwhile_is_not_overwritten(workspace: Path, db: str) -> None:
    before = (workspace / "greeter.py").read_bytes()
    unread = script(
        {"tool": "write_file", "args": {"path": "greeter.py", "content": "lost\n"}},
        {"tool": "read_file", "args": {"path": "greeter.py"}},
        {"tool": "execute_command", "args": {"command": "echo '# changed' >> greeter.py"}},
        {"tool": "write_file", "args": {"path": "greeter.py", "content": "lost\n"}},
        {"tool": "edit_file", "args": {"path": "greeter.py", "old": "# changed", "new": "# lost"}},
        {"text": "Neither was possible."},
    )
    status, output = chat(workspace, db, unread, "--approve", "all", "--agent", "coder")
    assert status == 0, output
    told = " ".join(output.split())
    assert "The file exists and was not read in this session: read it first." in told
    assert told.count("The file changed since it was read: read it again.") == 2
    assert (workspace / "greeter.py").read_bytes() == before + b"# changed\n"


def test_file_that_was_read_is_edited_and_then_written(workspace: Path, db: str) -> None:
    steps = script(
        {"tool": "write_file", "args": {"path": "new.txt", "content": "one\ntwo\n"}},
        {"tool": "edit_file", "args": {"path": "new.txt", "old": "two", "new": "2"}},
        {"tool": "read_file", "args": {"path": "new.txt"}},
        {"tool": "write_file", "args": {"path": "new.txt", "content": "one\n2\n3\n"}},
        {"text": "Done."},
    )
    status, output = chat(workspace, db, steps, "--approve", "all", "--agent", "coder")
    assert status == 0, output
    assert (workspace / "new.txt").read_text() == "one\n2\n3\n"


def test_a_write_that_loses_most_of_a_file_is_not_done_unattended(workspace: Path, db: str) -> None:
    before = (workspace / "greeter.py").read_bytes()
    losing = script(
        {"tool": "read_file", "args": {"path": "greeter.py"}},
        {"tool": "write_file", "args": {"path": "greeter.py", "content": "lost\n"}},
        {"text": "It was not possible."},
    )
    status, output = chat(workspace, db, losing, "--approve", "all", "--agent", "coder")
    assert status == 0, output
    assert "It was not possible." in output
    assert (workspace / "greeter.py").read_bytes() == before
