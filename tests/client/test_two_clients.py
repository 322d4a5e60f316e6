"""Two terminal clients on one session of one server: a call runs once, in the client whose decision was accepted."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from client.own_server import Address
from tests.client.terminal.person import Person, at_terminal
from tests.client.terminal.test_decided_elsewhere import Elsewhere

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="there is no pty"), pytest.mark.timeout(400)]

RUN: dict[str, object] = {"tool": "execute_command", "args": {"command": "echo run >> ran.txt"}}
READ: dict[str, object] = {"tool": "read_file", "args": {"path": "notes.txt"}}
SCRIPT = "#script\n" + json.dumps([RUN, READ, {"text": "All done."}])


@contextmanager
def two_terminals(address: Address, tmp_path: Path) -> Iterator[tuple[Person, Person, Elsewhere]]:
    """The first has asked for the work, the second has taken the session up; both ask about the command."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text(f"notes of {name}\n")
    where = ("--url", address.url, "--key", str(address.key), "--workspace")
    http = httpx.Client(base_url=address.url, headers={"X-Internal-Auth": str(address.key)}, trust_env=False)
    asked = ("chat", *where, str(tmp_path / "first"), "--agent", "coder", "--message", SCRIPT)
    with http, at_terminal(*asked) as first:
        first.wait_for("Decision")
        session = http.get("/sessions", params={"limit": 1}).json()["sessions"][0]["id"]
        with at_terminal("chat", *where, str(tmp_path / "second"), "--session", session) as second:
            second.wait_for("Decision")
            yield first, second, Elsewhere(http, session)


def runs(tmp_path: Path) -> dict[str, int]:
    """How often each client ran the command."""
    places = {name: tmp_path / name / "ran.txt" for name in ("first", "second")}
    return {name: len(file.read_text().splitlines()) if file.exists() else 0 for name, file in places.items()}


def assert_both_saw_the_end(first: Person, second: Person, console: Elsewhere) -> str:
    """Both show the answer; each call has one result. Gives what the second call read."""
    for person in (first, second):
        person.wait_for("All done.")
    assert first.leave() == 0
    second.wait_for("You:")  # what is typed before a prompt is thrown away
    second.press_control_d()
    assert second.leave() == 0
    results = [result for result in console.results() if result["name"] != "attempt_completion"]
    assert [result["name"] for result in results] == ["execute_command", "read_file"]
    content: str = results[1]["content"]
    return content


@pytest.mark.parametrize("approving", ["first", "second"])
def test_what_one_client_approves_runs_there_alone(address: Address, tmp_path: Path, approving: str) -> None:
    with two_terminals(address, tmp_path) as (first, second, console):
        here, there = (first, second) if approving == "first" else (second, first)
        here.type("a")
        there.wait_for("Another client of this session runs the call.")
        read = assert_both_saw_the_end(first, second, console)
    assert runs(tmp_path) == {"first": approving == "first", "second": approving == "second"}
    assert f"notes of {approving}" in read


def test_what_both_approve_at_once_runs_once(address: Address, tmp_path: Path) -> None:
    with two_terminals(address, tmp_path) as (first, second, console):
        first.type("a")
        second.type("a")
        read = assert_both_saw_the_end(first, second, console)
    ran = runs(tmp_path)
    assert sorted(ran.values()) == [0, 1]
    assert f"notes of {max(ran, key=ran.__getitem__)}" in read


def test_what_was_approved_where_nothing_can_be_run_runs_in_one_of_them(address: Address, tmp_path: Path) -> None:
    with two_terminals(address, tmp_path) as (first, second, console):
        console.decide(console.pending()[0]["request_id"], "approve")
        read = assert_both_saw_the_end(first, second, console)
    ran = runs(tmp_path)
    assert sorted(ran.values()) == [0, 1]
    assert f"notes of {max(ran, key=ran.__getitem__)}" in read


def test_what_the_second_client_rejects_goes_on_there(address: Address, tmp_path: Path) -> None:
    with two_terminals(address, tmp_path) as (first, second, console):
        second.type("r")
        second.wait_for("Why?")
        second.type("")
        first.wait_for("Settled elsewhere")
        read = assert_both_saw_the_end(first, second, console)
    assert runs(tmp_path) == {"first": 0, "second": 0}
    assert "notes of second" in read
