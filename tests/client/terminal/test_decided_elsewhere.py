"""A decision taken over REST while the terminal asks: the question closes and the turn goes on (real server)."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from client.own_server import Address
from tests.client.terminal.person import Person, at_terminal

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="there is no pty"), pytest.mark.timeout(400)]


@dataclass
class Elsewhere:
    """A console: it knows the REST endpoints and the key."""

    http: httpx.Client
    session_id: str

    def decide(self, request_id: str, decision: str, **more: Any) -> None:
        done = self.http.post(
            f"/sessions/{self.session_id}/approvals/{request_id}", json={"decision": decision, **more}
        )
        assert done.is_success, done.text

    def pending(self) -> list[dict[str, Any]]:
        reply = self.http.get(f"/sessions/{self.session_id}/pending-approvals").json()
        found: list[dict[str, Any]] = reply["pending_approvals"]
        return found

    def results(self) -> list[dict[str, Any]]:
        history = self.http.get(f"/sessions/{self.session_id}/history").json()
        return [message for message in history["messages"] if message["role"] == "tool"]


@contextmanager
def terminal_and_console(
    address: Address, root: Path, *script: dict[str, object]
) -> Iterator[tuple[Person, Elsewhere]]:
    message = "#script\n" + json.dumps(script)
    where = ("--url", address.url, "--key", str(address.key), "--workspace", str(root))
    with (
        httpx.Client(base_url=address.url, headers={"X-Internal-Auth": str(address.key)}, trust_env=False) as http,
        at_terminal("chat", *where, "--agent", "coder", "--message", message) as person,
    ):
        person.wait_for("Decision")
        newest = http.get("/sessions", params={"limit": 1}).json()["sessions"][0]["id"]
        yield person, Elsewhere(http, newest)


WRITE: dict[str, object] = {"tool": "write_file", "args": {"path": "b.txt", "content": "original\n"}}
MKDIR: dict[str, object] = {"tool": "create_directory", "args": {"path": "d"}}


def test_approved_elsewhere_runs_here(address: Address, tmp_path: Path) -> None:
    with terminal_and_console(address, tmp_path, WRITE, {"text": "All done."}) as (person, console):
        console.decide(console.pending()[0]["request_id"], "approve")
        person.wait_for("Settled elsewhere: The call was approved.")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert (tmp_path / "b.txt").read_text() == "original\n"
        assert len(console.results()) == 1


def test_rejected_elsewhere_shows_the_answer(address: Address, tmp_path: Path) -> None:
    with terminal_and_console(address, tmp_path, WRITE, {"text": "Then I leave it."}) as (person, console):
        console.decide(console.pending()[0]["request_id"], "reject", feedback="not this file")
        person.wait_for("Settled elsewhere: The call was rejected.")
        person.wait_for("Then I leave it.")
        person.wait_for("Done")
        assert person.leave() == 0
        assert not (tmp_path / "b.txt").exists()


def test_edited_elsewhere_runs_as_edited(address: Address, tmp_path: Path) -> None:
    with terminal_and_console(address, tmp_path, WRITE, {"text": "All done."}) as (person, console):
        edited = {"path": "b.txt", "content": "edited\n"}
        console.decide(console.pending()[0]["request_id"], "edit", modified_arguments=edited)
        person.wait_for("All done.")
        assert person.leave() == 0
        assert (tmp_path / "b.txt").read_text() == "edited\n"


def test_decided_elsewhere_while_the_editor_is_open(address: Address, tmp_path: Path) -> None:
    with terminal_and_console(address, tmp_path, WRITE, {"text": "Then I leave it."}) as (person, console):
        person.type("e")
        person.wait_for("Alt-Enter ends")
        person.wait_for("original")
        console.decide(console.pending()[0]["request_id"], "reject")
        person.wait_for("Settled elsewhere")
        person.wait_for("Then I leave it.")
        assert person.leave() == 0


def test_second_call_of_a_reply_decided_elsewhere_first(address: Address, tmp_path: Path) -> None:
    both: dict[str, object] = {"tools": [WRITE, MKDIR]}
    with terminal_and_console(address, tmp_path, both, {"text": "All done."}) as (person, console):
        second = next(row for row in console.pending() if row["tool_name"] == "create_directory")
        console.decide(second["request_id"], "reject")
        person.type("a")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert "create_directory" not in person.screen
        assert (tmp_path / "b.txt").exists()
        assert not (tmp_path / "d").exists()


def test_session_cancelled_elsewhere_closes_the_question(address: Address, tmp_path: Path) -> None:
    with terminal_and_console(address, tmp_path, WRITE, {"text": "All done."}) as (person, console):
        console.http.post(f"/sessions/{console.session_id}/cancel")
        person.wait_for("Settled elsewhere: The run was cancelled.")
        person.wait_for("Cancelled")
        assert person.leave() == 1
