"""The chat on a real screen: editing keys, pastes, Ctrl-C, a session taken up, widths, colours."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from client.configuration import workspace_folder
from client.own_server import Address, own_server, sqlite_url
from client.session_index import SessionIndex
from tests.client.processes import running, wait_until_ended
from tests.client.runtime_double import KEY, Reply, RuntimeDouble, calls, delta, done, runtime, says, status
from tests.client.terminal.tmux import DEADLINE_S, Window, window

pytestmark = [
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt-get install tmux"),
    pytest.mark.timeout(400),
]
ANSWER = (
    "# Answer\n\nA paragraph of **many** words that has to be wrapped at every one of the three widths, and not "
    "inside of a word, which a person could not read.\n\n- first `code`\n- second"
)
END: Reply = [says("All done."), done()]


@contextmanager
def chat(
    root: Path, *replies: Reply, columns: int = 100, rows: int = 40, environment: dict[str, str] | None = None
) -> Iterator[tuple[Window, RuntimeDouble]]:
    with runtime(*replies) as double:
        where = ("--url", double.url, "--key", KEY, "-w", str(root))
        with window("chat", *where, columns=columns, rows=rows, environment=environment) as opened:
            opened.wait_for("You:")
            yield opened, double


def streamed(text: str) -> Reply:
    return [*(delta(text[start : start + 7]) for start in range(0, len(text), 7)), says(text), done()]


def test_editing_keys_history_and_several_lines(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/main.py").touch()
    with chat(tmp_path, END, END, END) as (terminal, double):
        terminal.type("worl please", "Home")
        terminal.type("hello ", "End", "C-w", "BSpace")
        terminal.type("d", "M-Enter")
        terminal.type("second line", "Enter")
        terminal.wait_for("All done.")
        terminal.wait_for("You:", 2)
        terminal.keys("Up", "End")
        terminal.type(" again", "Enter")
        terminal.wait_for("All done.", 2)
        terminal.wait_for("You:", 3)
        terminal.type("explain @li", "Tab")
        terminal.wait_for("@lib/")
        terminal.type("m", "Tab")
        terminal.wait_for("@lib/main.py")
        terminal.keys("Enter")
        terminal.wait_for("All done.", 3)
        sent = [message["content"] for message in double.messages]
    assert sent == ["hello world\nsecond line", "hello world\nsecond line again", "explain lib/main.py"]


def test_paste_is_one_request_and_decides_nothing(tmp_path: Path) -> None:
    call = calls("c1", "write_file", asks=True, path="b.txt", content="original\n")
    rejected = [status("c1", "rejected"), says("I see."), done()]
    with chat(tmp_path, [call, done("awaiting_approval")], rejected) as (terminal, double):
        terminal.paste("first\nsecond\n\nthird")
        terminal.wait_for("third")
        terminal.keys("Enter")
        terminal.wait_for("Decision")
        terminal.paste("a\n")
        terminal.wait_for("A paste decides nothing")
        terminal.type("r", "Enter")
        terminal.wait_for("Why?")
        terminal.keys("Enter")
        terminal.wait_for("I see.")
        assert double.messages[0]["content"] == "first\nsecond\n\nthird"
        assert double.messages[1]["decision"] == "reject"
    assert not (tmp_path / "b.txt").exists()


def test_control_c_in_an_answer_cancels_it_and_the_conversation_goes_on(tmp_path: Path) -> None:
    with chat(tmp_path, [delta("Thinking about"), "hang"], END) as (terminal, double):
        terminal.type("think", "Enter")
        terminal.wait_for("Thinking about")
        terminal.keys("C-c")
        terminal.wait_for("Cancelled")
        assert double.cancels == 1
        terminal.wait_for("You:", 2)
        terminal.type("go on", "Enter")
        terminal.wait_for("All done.")


def test_control_c_in_a_command_ends_it_and_undo_takes_back_what_it_did(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old\n")
    command = "echo new > a.txt; mkdir d; sleep 47.25; echo late > a.txt"
    call = calls("c1", "execute_command", asks=True, command=command, shell=True)  # noqa: S604 an argument of the call
    with chat(tmp_path, [call, done("awaiting_approval")], [status("c1", "approved"), done("awaiting_tool")]) as (
        terminal,
        double,
    ):
        terminal.type("run it", "Enter")
        terminal.wait_for("Decision")
        terminal.type("a", "Enter")
        deadline = time.monotonic() + DEADLINE_S
        while not running("sleep", "47.25"):
            assert time.monotonic() < deadline, terminal.screen()
            time.sleep(0.05)
        terminal.keys("C-c")
        assert "files changed: a.txt, d" in terminal.wait_for("Cancelled")
        wait_until_ended("sleep", "47.25")
        assert (file.read_text(), double.cancels) == ("new\n", 1)
        terminal.wait_for("You:", 2)
        terminal.type("/undo", "Enter")
        terminal.wait_for("removed: d")
        assert file.read_text() == "old\n"
        terminal.wait_for("You:", 3)
        terminal.type("/undo", "Enter")
        terminal.wait_for("Nothing of this session is left to take back.")
        terminal.wait_for("You:", 4)
        terminal.type("/redo", "Enter")
        terminal.wait_for("put back: d")
    assert (file.read_text(), (tmp_path / "d").is_dir()) == ("new\n", True)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_answer_and_decision_fit_every_width(tmp_path: Path, columns: int) -> None:
    (tmp_path / "b.txt").write_text("old line\n" * 3)
    call = calls("c1", "write_file", asks=True, path="b.txt", content="new line " + "x" * 150 + "\n")
    with chat(tmp_path, streamed(ANSWER), [call, done("awaiting_approval")], columns=columns) as (terminal, _):
        terminal.type("tell", "Enter")
        answer = terminal.wait_for("session")
        paragraph = answer[answer.index("A paragraph") : answer.index("• first")].split()
        assert " ".join(paragraph) == ANSWER.split("\n\n")[1].replace("**", "")
        terminal.wait_for("You:", 2)
        terminal.type("write", "Enter")
        panel = [line for line in terminal.wait_for("Decision").splitlines() if line.startswith(("╭", "│", "╰"))]
    assert {len(line) for line in panel} == {columns}
    assert "x" * 150 in "".join(re.sub(r"[│ ]", "", line) for line in panel)


def test_block_that_is_taller_than_the_screen_is_shown_once(tmp_path: Path) -> None:
    lines = [f"line_{number} = {number}" for number in range(60)]
    code = "```python\n" + "\n".join(lines) + "\n```\n\nAfter it."
    with chat(tmp_path, streamed(code), rows=15) as (terminal, _):
        terminal.type("tell", "Enter")
        shown = terminal.wait_for("session").splitlines()
    assert [line.strip() for line in shown if line.strip().startswith("line_")] == lines


def test_window_that_is_resized_while_an_answer_streams_shows_it_once(tmp_path: Path) -> None:
    words = [f"слово{number} 漢字{number} 😀" for number in range(40)]
    first, rest = " ".join(words[:20]), " ".join(words[20:])
    # A screen that is full: in an empty one tmux would move lines of the answer out of it.
    filling = says("\n".join(f"- {number}" for number in range(40)))
    with chat(tmp_path, [filling, done()], [delta(first + " "), "hang"], columns=80) as (terminal, double):
        terminal.type("fill", "Enter")
        terminal.wait_for("You:", 2)
        terminal.type("tell", "Enter")
        terminal.wait_for("слово19")
        for columns in (50, 120, 60):
            terminal.resize(columns)
        double.goes_on([delta(rest), says(f"{first} {rest}"), done()])
        shown = terminal.wait_for("session", 2)
    answer = shown[shown.index("слово0 ") : shown.rindex("╭─ Done")]
    assert " ".join(answer.split()) == f"{first} {rest}"


def test_paste_of_ten_thousand_characters_is_sent_whole_and_shown_in_short(tmp_path: Path) -> None:
    text = "Привет 漢字 😀\tчто?\n" * 600
    assert len(text) > 10_000
    with chat(tmp_path, END, columns=60, rows=20) as (terminal, double):
        terminal.paste(text)
        terminal.keys("Enter")
        shown = terminal.wait_for("All done.")
        assert double.messages[0]["content"] == text.strip()
    request = shown[shown.index("You: Привет") : shown.index("All done.")].splitlines()
    assert len(request) <= 14
    assert "more characters" in request[-1]


@pytest.mark.parametrize(("environment", "is_coloured"), [({"NO_COLOR": "1"}, False), ({}, True)])
def test_colours_are_left_out_where_the_user_wants_none(
    tmp_path: Path, environment: dict[str, str], is_coloured: bool
) -> None:
    call = calls("c1", "write_file", asks=True, path="b.txt", content="new\n")
    with chat(tmp_path, [says(ANSWER), call, done("awaiting_approval")], environment=environment) as (terminal, _):
        terminal.type("tell", "Enter")
        terminal.wait_for("Decision")
        shown = terminal.screen(coloured=True)
    colours = [code for codes in re.findall(r"\x1b\[([\d;]*)m", shown) for code in codes.split(";")]
    assert any(re.fullmatch(r"3[0-8]|4[0-8]|9\d|10\d", code) for code in colours) is is_coloured


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Address]:
    before = os.environ.copy()
    os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = str(tmp_path / "server")
    try:
        with own_server(sqlite_url(tmp_path / "chat.db")) as address:
            yield address
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_windows_in_two_folders_one_left_pending_and_taken_up_and_one_decided_over_rest(
    address: Address, tmp_path: Path
) -> None:
    script = "#script\n" + json.dumps(
        [{"tool": "write_file", "args": {"path": "b.txt", "content": "new\n"}}, {"text": "All done."}]
    )
    where = ("--url", address.url, "--key", str(address.key), "--agent", "coder")
    roots = [tmp_path / name for name in ("one", "two")]
    for root in roots:
        root.mkdir()
    with (
        httpx.Client(base_url=address.url, headers={"X-Internal-Auth": str(address.key)}, trust_env=False) as http,
        window("chat", *where, "-w", str(roots[1])) as second,
    ):
        with window("chat", *where, "-w", str(roots[0])) as first:
            for terminal in (first, second):
                terminal.wait_for("You:")
                terminal.paste(script)
                terminal.keys("Enter")
                terminal.wait_for("Decision")
        # The first window is gone with its question open; the second one is answered over REST.
        place = SessionIndex(workspace_folder(roots[1])).newest(address.url)
        assert place is not None
        (pending,) = http.get(f"/sessions/{place.session}/pending-approvals").json()["pending_approvals"]
        http.post(f"/sessions/{place.session}/approvals/{pending['request_id']}", json={"decision": "approve"})
        second.wait_for("Settled elsewhere: The call was approved.")
        second.wait_for("All done.", 2)
        assert (roots[1] / "b.txt").read_text() == "new\n"
    with window("chat", *where[:4], "-w", str(roots[0]), "--continue") as first:
        screen = first.wait_for("Decision")
        assert "You: #script" in screen
        assert "+new" in screen
        first.type("a", "Enter")
        first.wait_for("All done.", 2)
    assert (roots[0] / "b.txt").read_text() == "new\n"
