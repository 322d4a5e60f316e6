"""The command line: exit statuses, sentences instead of tracebacks, and imports that stay light."""

import json
import os
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.client.preloaded import run, run_at_terminal
from tests.client.runtime_double import KEY, Refuse, calls, chunk, done, runtime, says, status
from tests.client.terminal.person import COMMAND


def agent_runtime(*arguments: str, cwd: Path | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that has imported it before."""
    return run(arguments, cwd=cwd, env=os.environ | {"COLUMNS": "100"} | settings, timeout_s=100)


def installed(*arguments: str, cwd: Path | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command, its imports included."""
    return subprocess.run(
        [COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100"} | settings,
    )


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr.strip()


def test_help_names_every_command() -> None:
    text = installed("--help").stdout
    for command in ("serve", "chat", "migrate", "graph", "policy", "version"):
        assert command in text


def test_command_line_imports_nothing_heavy() -> None:
    heavy = {"langgraph", "langchain_core", "fastapi", "uvicorn", "httpx", "pydantic", "rich"}
    code = "import cli, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "typer" in done.stdout.split()
    assert heavy & set(done.stdout.split()) == set()


def test_first_line_of_a_chat_is_shown_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    heavy = ("typer", "rich", "httpx", "prompt_toolkit", "pydantic", "pydantic_settings")
    refusing = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy})); sys.argv = ['x', 'chat', '-m', 'hi'];"
        "import agent_runtime; agent_runtime.main()"
    )
    done = subprocess.run([sys.executable, "-c", refusing], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert any(f"import of {module} halted" in done.stderr for module in heavy), done.stderr
    assert done.stdout.splitlines()[0].startswith("CodeLab agent runtime  workspace ")


def test_first_line_of_a_chat_takes_little_processor_time(tmp_path: Path) -> None:
    """The processor time of a process that ends with its first line; what follows is imported after it."""
    ending = (
        "import sys; sys.modules['typer'] = None; sys.argv = ['x', 'chat', '-m', 'hi'];"
        "import agent_runtime, os; sys.excepthook = lambda *_: print(sum(os.times()[:2]));"
        "agent_runtime.main()"
    )
    done = subprocess.run([sys.executable, "-c", ending], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.startswith("CodeLab agent runtime"), done.stderr
    assert float(done.stdout.splitlines()[-1]) <= 0.3


@pytest.mark.parametrize("options", [["-m", "x", "--json"], ["--help"], ["-w", "/does/not/exist", "-m", "x"], ["-w"]])
def test_nothing_is_announced_where_no_chat_begins(options: list[str], tmp_path: Path) -> None:
    code = f"import client.terminal.opening as o; o.announce({options!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_version() -> None:
    assert installed("version").stdout.strip() == version("codelab-agent-runtime")


def test_completed_task_exits_0_and_a_terminal_is_not_needed(tmp_path: Path) -> None:
    with runtime([says("Hi"), done()]) as double:
        finished = agent_runtime("chat", "--url", double.url, "--key", KEY, "--message", "x", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "Hi" in finished.stdout
    assert "There is no terminal to ask at" in finished.stdout


def test_key_comes_from_the_setting(tmp_path: Path) -> None:
    with runtime([says("Hi"), done()]) as double:
        settings = {"AGENT_RUNTIME__INTERNAL_API_KEY": f"gateway={KEY}"}
        finished = agent_runtime(
            "chat", "--url", double.url, "--message", "x", "--approve", "all", cwd=tmp_path, **settings
        )
    assert finished.returncode == 0, finished.stderr


def test_task_that_does_not_complete_exits_1(tmp_path: Path) -> None:
    failed = [chunk("error", error="Broken.", metadata={"code": "internal"}), done("failed")]
    waiting = [says("Which?", metadata={"suggestions": ["a", "b"]}), done("awaiting_answer")]
    for reply in (failed, waiting):
        with runtime(reply) as double:
            finished = agent_runtime(
                "chat", "--url", double.url, "--key", KEY, "--message", "x", "--approve", "none", cwd=tmp_path
            )
        assert finished.returncode == 1, finished.stdout


def test_without_a_terminal_ask_means_none(tmp_path: Path) -> None:
    ask = calls("c1", "write_file", asks=True, path="a", content="")
    with runtime([ask, done("awaiting_approval")], [status("c1", "rejected"), says("ok"), done()]) as double:
        agent_runtime("chat", "--url", double.url, "--key", KEY, "--message", "x", cwd=tmp_path)
        assert double.messages[1]["decision"] == "reject"
    assert list(tmp_path.iterdir()) == []


def test_problems_are_one_sentence(tmp_path: Path) -> None:
    chat = ("chat", "--message", "x", "--url")
    assert "cannot be reached" in one_sentence(agent_runtime(*chat, "http://127.0.0.1:1", cwd=tmp_path))
    with runtime() as double:
        assert "does not accept this key" in one_sentence(agent_runtime(*chat, double.url, cwd=tmp_path))
    with runtime(Refuse(400, {"detail": "Invalid agent_type: x", "code": "agent_unknown"})) as double:
        refused = agent_runtime(*chat, double.url, "--key", KEY, "--agent", "x", cwd=tmp_path)
        assert "Invalid agent_type: x" in one_sentence(refused)
    missing = agent_runtime("chat", "--message", "x", "--workspace", str(tmp_path / "none"))
    assert "not a folder" in one_sentence(missing)
    assert "no terminal to chat in" in one_sentence(agent_runtime("chat", cwd=tmp_path))
    broken = agent_runtime("chat", "--message", "x", cwd=tmp_path, AGENT_RUNTIME__PORT="many")
    assert "AGENT_RUNTIME__PORT" in one_sentence(broken)


@pytest.mark.parametrize("options", [["chat"], ["chat", "-m", "x"], ["acp"], ["console", "--no-browser"]])
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("wrong", "The server does not accept this key; give the right one with --key."),
        ("ключ", "The key (--key) cannot be sent in a header: use visible ASCII characters."),
        ("a\nb", "The key (--key) cannot be sent in a header: use visible ASCII characters."),
    ],
)
def test_wrong_key_is_one_sentence_before_anything_else_is_done(
    options: list[str], key: str, said: str, tmp_path: Path
) -> None:
    """Neither the question of a conversation nor the libraries of the server and of editors come before it."""
    with runtime() as double:
        arguments = [*options, "--url", double.url, "--key", key]
        done = without_heavy_imports(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (2, said + "\n"), done.stdout
        assert double.received == []


@pytest.mark.parametrize("options", [["sessions"], ["undo"]])
def test_commands_without_a_server_need_no_key(options: list[str], tmp_path: Path) -> None:
    """They read the user's own files: a key that no setting can be does not keep them from it."""
    (tmp_path / "a.txt").write_text("old")
    with runtime([calls("c1", "write_file", path="a.txt", content="new"), done("awaiting_tool")], [done()]) as double:
        agent_runtime("chat", "--url", double.url, "--key", KEY, "-m", "please", cwd=tmp_path)
    finished = agent_runtime(*options, cwd=tmp_path, AGENT_RUNTIME__INTERNAL_API_KEY="ключ\n")
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stdout
    assert ("please" if options == ["sessions"] else "put back: a.txt") in finished.stdout


def test_usage_problems_exit_2() -> None:
    assert agent_runtime("chat", "--approve", "maybe").returncode == 2
    assert agent_runtime("nonsense").returncode == 2


def test_policy_check_explains_for_people_and_programs() -> None:
    allowed = agent_runtime("policy", "check", "execute_command", '{"command": "git status"}')
    assert allowed.stdout.startswith("allow")
    arguments = ("policy", "check", "execute_command", '{"command": "ls && rm -r x"}', "--json")
    verdict = json.loads(agent_runtime(*arguments).stdout)
    assert verdict["verdict"] == "ask"
    assert [segment["verdict"] for segment in verdict["segments"]] == ["allow", "ask"]
    undeclared = agent_runtime("policy", "check", "execute_command", '{"command": "ls"}', "--shell", "none")
    assert undeclared.stdout.startswith("ask")
    denied = agent_runtime("policy", "check", "write_file", '{"path": "a.py", "content": ""}', "--agent", "architect")
    assert denied.stdout.startswith("deny")
    assert "markdown" in denied.stdout
    assert "There is no agent 'x'" in one_sentence(agent_runtime("policy", "check", "echo", "{}", "--agent", "x"))
    assert "not JSON" in one_sentence(agent_runtime("policy", "check", "echo", "{"))
    assert "not a JSON object" in one_sentence(agent_runtime("policy", "check", "echo", "[]"))


def test_graph_is_mermaid() -> None:
    text = agent_runtime("graph").stdout
    assert "graph TD" in text
    assert "specialist" in text


def without_heavy_imports(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command at a terminal, where an import of the server's libraries, or of the editors', fails."""
    return run_at_terminal(arguments, cwd=cwd, env=os.environ, timeout_s=100)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chat", "-m", "x", "--db", "mysql://x"], "is not usable"),
        (["chat", "-m", "x", "--session", "none"], "has no session 'none'"),
        (["chat", "-m", "x", "--continue"], "no session to continue"),
        (["chat", "-m", "x", "--url", "nonsense"], "is not an http address"),
        (["chat", "-m", "x", "--url", "http://"], "is not an http address"),
        (["chat", "-m", "x", "--url", "http://127.0.0.1:1"], "cannot be reached"),
        (["chat", "--url", "http://127.0.0.1:1"], "cannot be reached"),
        (["chat", "-m", "x", "--url", "http://127.0.0.1:1", "--db", "x.db"], "--url names another one"),
        (["chat", "-w", "/does/not/exist"], "is not a folder"),
        (["serve", "--port", "0", "--env-file", "/does/not/exist"], "does not exist"),
        (["acp", "--db", "mysql://x", "--url", "http://127.0.0.1:1"], "--url names another one"),
        (["acp", "--url", "http://127.0.0.1:1", "--key", "k"], "cannot be reached"),
        (["acp", "--url", "http://:99999", "--key", "k"], "is not an http address"),
        (["sessions", "-w", "/does/not/exist"], "is not a folder"),
        (["undo"], "nothing to take back"),
        (["undo", "-w", "/does/not/exist"], "is not a folder"),
    ],
)
def test_what_cannot_start_is_one_sentence_before_the_server_is_imported(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = without_heavy_imports(*arguments, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stdout + done.stderr
    assert said in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the devices and the folder that is gone are those of Linux")
@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("$chat -m hi >/dev/full", 2, "No space left on device."),
        ("$chat -m hi >&-", 0, ""),
        ("$chat -m hi <&- >&- 2>&-", 0, ""),
        ("$chat -m hi | true; exit ${PIPESTATUS[0]}", 1, ""),
        ("$chat --json -m hi | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}", 1, ""),
        ("$run sessions >/dev/full", 2, "No space left on device."),
        ("$run acp </dev/null | cat; exit ${PIPESTATUS[0]}", 2, "over pipes"),
        ("$run acp >out", 2, "over pipes"),
        ("$run acp <&-", 2, "over pipes"),
        ("$run console --no-browser -w /does/not/exist", 2, "is not a folder"),
        ("rmdir $PWD; $chat -m hi", 2, "is not a folder"),
        ("rmdir $PWD; $run sessions", 2, "The workspace '.' is not a folder"),
        ("rmdir $PWD; $run undo", 2, "The workspace '.' is not a folder"),
    ],
)
def test_streams_and_folders_that_cannot_be_used_are_no_traceback(
    line: str, status: int, said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with runtime([says("word " * 50_000), done()]) as double:
        names = {"run": COMMAND, "chat": f"{COMMAND} chat --url {double.url} --key {KEY}"}
        ended = subprocess.run(
            ["bash", "-c", line],
            stdin=subprocess.PIPE,
            capture_output=True,
            text=True,
            timeout=100,
            cwd=folder,
            env=os.environ | names,
        )
    told = [text for text in ended.stderr.splitlines() if "no terminal to ask at" not in text]
    assert (ended.returncode, len(told)) == (status, 1 if said else 0), ended.stderr
    assert said in ended.stderr


def test_server_that_cannot_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    serve = ("serve", "--port", "0")
    (tmp_path / "no.db").write_text("this is no database, whatever its name says" * 20)
    for url, said in (
        ("mysql://x", "is not usable"),
        (f"sqlite:///{tmp_path}/no.db", "cannot be used"),
        (f"sqlite:///{tmp_path}/no.db/x.db", "cannot be used"),
        ("postgresql://u@127.0.0.1:1/x", "does not answer"),
    ):
        failed = agent_runtime(*serve, cwd=tmp_path, AGENT_RUNTIME__DB_URL=url)
        assert said in failed.stderr.splitlines()[-1], failed.stderr
        assert failed.returncode == 2
        assert "Traceback" not in failed.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "cannot listen on" in one_sentence(agent_runtime("serve", "--port", port, cwd=tmp_path))
    assert "cannot listen on" in one_sentence(agent_runtime("serve", "--host", "203.0.113.1", cwd=tmp_path))
