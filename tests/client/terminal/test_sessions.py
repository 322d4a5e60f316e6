"""Chats side by side, sessions taken up again, slash commands and JSON lines, on the real server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.configuration import workspace_folder
from client.session_index import Place, SessionIndex
from errors import ConfigurationError
from tests.client.terminal.person import at_terminal
from tests.client.test_cli import agent_runtime, one_sentence

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="there is no pty"), pytest.mark.timeout(400)]
WRITE: dict[str, object] = {"tool": "write_file", "args": {"path": "b.txt", "content": "hello\n"}}


def scripted(*replies: dict[str, object]) -> str:
    """A script as one line that a person can type."""
    return "\x1b[200~#script\r" + json.dumps(replies) + "\x1b[201~"


def test_two_windows_in_one_folder_and_one_in_another(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        at_terminal("chat", "-w", str(tmp_path / "a")) as first,
        at_terminal("chat", "-w", str(tmp_path / "b")) as other,
    ):
        first.wait_for("You")
        other.wait_for("You")
        with at_terminal("chat", "-w", str(tmp_path / "a")) as second:
            for person in (first, second, other):
                if person is second:
                    person.wait_for("You")
                person.type("hello")
                person.wait_for("Done")
    assert len(list(workspace_folder(tmp_path / "a").glob("chat*.db"))) == 2


def test_session_is_taken_up_with_its_history_and_what_is_pending(tmp_path: Path) -> None:
    with at_terminal("chat", "-w", str(tmp_path), "--agent", "coder") as person:
        person.wait_for("You")
        person.send(scripted(WRITE, {"text": "All done."}))
        person.send("\r")
        person.wait_for("Decision")
    with at_terminal("chat", "-w", str(tmp_path), "--continue") as person:
        person.wait_for("write_file b.txt")
        person.wait_for("+hello")
        person.wait_for("Decision")
        person.type("a")
        person.wait_for("All done.")
        person.wait_for("You")
        person.type("/quit")
        assert person.leave() == 0
    assert (tmp_path / "b.txt").read_text() == "hello\n"
    index = SessionIndex(workspace_folder(tmp_path))
    place = index.newest(None)
    assert place is not None
    again = agent_runtime("chat", "-w", str(tmp_path), "--session", place.session, "--message", "hello")
    assert again.returncode == 0, again.stderr
    assert "All done." in again.stdout


def test_unknown_sessions_are_one_sentence(tmp_path: Path) -> None:
    chat = ("chat", "-w", str(tmp_path), "--message", "x")
    assert "no session to continue" in one_sentence(agent_runtime(*chat, "--continue"))
    assert "has no session 'none'" in one_sentence(agent_runtime(*chat, "--session", "none"))
    named = agent_runtime(*chat, "--session", "none", "--db", str(tmp_path / "x.db"))
    assert "none" in one_sentence(named)


def test_session_of_an_open_window_is_not_opened_twice(tmp_path: Path) -> None:
    with at_terminal("chat", "-w", str(tmp_path)) as person:
        person.wait_for("You")
        person.type("hello")
        person.wait_for("Done")
        refused = agent_runtime("chat", "-w", str(tmp_path), "--continue", "--message", "x")
        assert "open in another window" in one_sentence(refused)


def test_slash_commands(tmp_path: Path) -> None:
    with at_terminal("chat", "-w", str(tmp_path)) as person:
        for command, shown in (
            ("/help", "/policy"),
            ("/agents", "architect"),
            ("/policy ls", "allow"),
            ("/policy rm -rf src", "danger high"),
            ("/nonsense", "no such command"),
            ("hello", "Done"),
            ("/sessions", "hello"),
            ("/history", "You: hello"),
            ("/cost", "no price for fake-llm"),
            ("/rules", "Nothing is remembered"),
            ("/plan", "no plan"),
            ("/agent ask", "→ ask"),
            ("/agent nobody", "nobody"),
            ("/new", "A new session"),
            ("/rules", "refused (404)"),
        ):
            person.wait_for("You:")
            person.type(command)
            person.wait_for(f"You: {command}")
            person.wait_for(shown)
        person.wait_for("You:")
        person.type("/quit")
        assert person.leave() == 0


def test_sessions_are_listed_with_their_titles_without_a_server(tmp_path: Path) -> None:
    assert agent_runtime("sessions", "-w", str(tmp_path)).stdout == "This workspace has no sessions.\n"
    index = SessionIndex(workspace_folder(tmp_path))
    index.note(Place("s1", "http://one"), "Explain\u202e it\nplease")
    index.note(Place("s2", "http://one"), "Mend it")
    first, second = agent_runtime("sessions", "-w", str(tmp_path)).stdout.splitlines()
    assert (first.split()[0], first.endswith("  Mend it")) == ("s2", True)
    assert (second.split()[0], second.endswith("  Explain\\u202e it")) == ("s1", True)
    assert "not a folder" in one_sentence(agent_runtime("sessions", "-w", str(tmp_path / "none")))


def test_task_as_json_lines(tmp_path: Path) -> None:
    message = "#script\n" + json.dumps([WRITE, {"text": "All done."}])
    chat = ("chat", "-w", str(tmp_path), "--json", "--agent", "coder", "--message", message)
    done = agent_runtime(*chat, "--approve", "all")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["form"] for line in lines} == {1}
    assert [line["kind"] for line in lines if line["kind"] != "chunk"] == ["result", "end"]
    assert lines[-1]["outcome"] == "completed"
    assert lines[-1]["changed"] == ["b.txt"]
    (tmp_path / "b.txt").unlink()  # a file that this session has not read is not asked about
    rejected = agent_runtime(*chat)
    assert [json.loads(line)["kind"] for line in rejected.stdout.splitlines()].count("rejected") == 1
    assert "no terminal to ask at" in rejected.stderr
    assert "--message" in one_sentence(agent_runtime("chat", "-w", str(tmp_path), "--json"))


def test_version_is_an_option_too() -> None:
    assert agent_runtime("--version").stdout == agent_runtime("version").stdout != ""


def test_index_gives_the_newest_session_of_a_server(tmp_path: Path) -> None:
    index = SessionIndex(tmp_path)
    assert index.newest(None) is None
    for place in (Place("s1", "http://one"), Place("s2", "http://two"), Place("s1", "http://one")):
        index.note(place, f"\nask {place.session}\nmore")
    index.note(Place("s1", "http://one"), "a later request")
    newest, other = index.sessions()
    assert (newest.session, newest.server, newest.title) == ("s1", "http://one", "ask s1")
    assert (index.newest(None), index.newest("http://two"), index.find("s2", "http://one")) == (newest, other, None)
    assert newest.at >= other.at > "2026"
    (tmp_path / "sessions.jsonl").write_text("nonsense\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        index.newest(None)
    assert os.listdir(tmp_path) == ["sessions.jsonl"]


def test_windows_that_begin_at_the_same_moment_choose_different_databases(tmp_path: Path) -> None:
    """Neither has a server yet when the other chooses; the database of one that has ended is free again."""
    choosing = (
        "import sys; from pathlib import Path; from client.session_index import SessionIndex;"
        f"print(SessionIndex(Path({str(tmp_path)!r})).free_database().name, flush=True); sys.stdin.read()"
    )
    windows = [
        subprocess.Popen([sys.executable, "-c", choosing], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        chosen = [window.stdout.readline().strip() for window in windows if window.stdout is not None]
        assert sorted(chosen) == ["chat-2.db", "chat-3.db", "chat.db"]
    finally:
        for window in windows:
            window.communicate(timeout=60)
    ended = subprocess.run([sys.executable, "-c", choosing], input="", capture_output=True, text=True, timeout=60)
    assert ended.stdout == "chat.db\n"
