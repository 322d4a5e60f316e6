"""A person at a terminal approves, edits, rejects, answers, cancels."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.processes import wait_until_ended
from tests.client.runtime_double import (
    KEY,
    Reply,
    RuntimeDouble,
    calls,
    chunk,
    delta,
    done,
    runtime,
    says,
    status,
)
from tests.client.terminal.person import Person, at_terminal

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="there is no pty"), pytest.mark.timeout(400)]


@contextmanager
def chat(
    root: Path, *replies: Reply, options: tuple[str, ...] = ("--message", "go"), editor: str | None = None
) -> Iterator[tuple[Person, RuntimeDouble]]:
    environment = {"EDITOR": editor} if editor else None
    with (
        runtime(*replies) as double,
        at_terminal(
            "chat", "--url", double.url, "--key", KEY, "--workspace", str(root), *options, environment=environment
        ) as person,
    ):
        yield person, double


def write_call(**metadata: object) -> Reply:
    call = calls("c1", "write_file", asks=True, path="b.txt", content="original\n")
    call["metadata"].update(metadata)
    return [call, done("awaiting_approval")]


def decide(person: Person, answer: str) -> None:
    person.wait_for("Decision")
    person.type(answer)


APPROVED: Reply = [status("c1", "approved"), done("awaiting_tool")]
END: Reply = [says("All done."), done()]


@pytest.mark.parametrize(("after_s", "rings"), [("0", True), ("1000", False)])
def test_bell_rings_when_it_asks_after_a_time_without_the_person(tmp_path: Path, after_s: str, rings: bool) -> None:
    with chat(tmp_path, write_call(), options=("--message", "go", "--bell", after_s)) as (person, _):
        person.wait_for("Decision")
        assert person.has_rung is rings


def test_approve(tmp_path: Path) -> None:
    with chat(tmp_path, write_call(), APPROVED, END) as (person, double):
        person.wait_for("+original")
        decide(person, "")  # a stray Enter decides nothing
        person.wait_for("Please type one of")
        decide(person, "a")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert (tmp_path / "b.txt").read_text() == "original\n"
        assert double.messages[1]["decision"] == "approve"


def test_reject_with_a_reason(tmp_path: Path) -> None:
    with chat(tmp_path, write_call(), [status("c1", "rejected"), says("I see."), done()]) as (person, double):
        decide(person, "r")
        person.wait_for("Why?")
        person.type("not now")
        person.wait_for("I see.")
        assert person.leave() == 0
        assert double.messages[1] == {
            "type": "hitl_decision",
            "call_id": "c1",
            "decision": "reject",
            "feedback": "not now",
            "digest": "digest-c1",
            "executor": double.messages[1]["executor"],
        }
        assert not (tmp_path / "b.txt").exists()


def test_text_is_edited_in_place_without_an_editor(tmp_path: Path) -> None:
    edited = {"path": "b.txt", "content": "original\nsecond"}
    approved: Reply = [status("c1", "approved_with_edits", arguments=edited), done("awaiting_tool")]
    with chat(tmp_path, write_call(), approved, END) as (person, double):
        decide(person, "e")
        person.wait_for("Alt-Enter ends")
        person.wait_for("original")
        person.send("second\x1b\r")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert double.messages[1]["modified_arguments"] == edited
        assert (tmp_path / "b.txt").read_text() == "original\nsecond"


def test_edit_in_the_editor(tmp_path: Path) -> None:
    edited = {"path": "b.txt", "content": "ORIGINAL\n"}
    approved: Reply = [status("c1", "approved_with_edits", arguments=edited), done("awaiting_tool")]
    with chat(tmp_path, write_call(), approved, END, editor="sed -i s/original/ORIGINAL/") as (person, double):
        decide(person, "e")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert double.messages[1]["modified_arguments"] == edited


def test_edit_a_command(tmp_path: Path) -> None:
    call = calls("c1", "execute_command", asks=True, command="echo one")
    approved: Reply = [
        status("c1", "approved_with_edits", arguments={"command": "echo two"}),
        done("awaiting_tool"),
    ]
    with chat(tmp_path, [call, done("awaiting_approval")], approved, END) as (person, double):
        person.wait_for("$ echo one")
        decide(person, "e")
        person.wait_for("Edit: echo one")
        person.type("\x7f\x7f\x7ftwo")
        person.wait_for("│ two")
        assert person.leave() == 0
        assert double.messages[1]["modified_arguments"] == {"command": "echo two"}


def test_refused_edit_is_asked_again(tmp_path: Path) -> None:
    call = calls("c1", "create_directory", asks=True, path="d")
    invalid = chunk("error", error="That path is not allowed.", metadata={"code": "decision_invalid"})
    approved: Reply = [status("c1", "approved"), done("awaiting_tool")]
    with chat(
        tmp_path,
        [call, done("awaiting_approval")],
        [invalid, done("awaiting_approval")],
        approved,
        END,
        editor="sed -i s/d/forbidden/",
    ) as (person, double):
        decide(person, "e")
        person.wait_for("That path is not allowed.")
        decide(person, "a")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert (tmp_path / "d").is_dir()
        assert [message.get("modified_arguments") for message in double.messages[1:3]] == [{"path": "forbidden"}, None]


@pytest.mark.parametrize(("editor", "said"), [("false", "Editing failed"), ("true", "Nothing was changed")])
def test_editor_that_changes_nothing_is_said(tmp_path: Path, editor: str, said: str) -> None:
    with chat(tmp_path, write_call(), [status("c1", "rejected"), done()], editor=editor) as (person, _):
        decide(person, "e")
        person.wait_for(said)
        decide(person, "r")
        person.wait_for("Why?")
        person.type("")
        assert person.leave() == 0


def test_remember_an_option(tmp_path: Path) -> None:
    option = {"id": "opt-7", "label": "`dart analyze`, in this session", "rule": {}}
    with chat(tmp_path, write_call(remember_options=[option]), APPROVED, END) as (person, double):
        person.wait_for("`dart analyze`, in this session")
        decide(person, "1")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert double.messages[1]["remember"] == "session"
        assert double.messages[1]["remember_option"] == "opt-7"


def test_long_diff_can_be_shown_whole(tmp_path: Path) -> None:
    content = "".join(f"line {number}\n" for number in range(200))
    call = calls("c1", "write_file", asks=True, path="b.txt", content=content)
    with chat(tmp_path, [call, done("awaiting_approval")], APPROVED, END) as (person, _):
        person.wait_for("more lines")
        person.wait_for("show all")
        decide(person, "s")
        person.wait_for("+line 199")
        decide(person, "a")
        assert person.leave() == 0


def test_plan_is_modified_then_approved(tmp_path: Path) -> None:
    def plan(number: int) -> Reply:
        summary = {"title": f"Plan {number}", "subtasks": [{"id": "s", "description": "Do it", "agent": "coder"}]}
        waiting = chunk(
            "plan_approval_required",
            approval_request_id=f"plan-approval-{number}",
            plan_id=str(number),
            plan_summary=summary,
            metadata={},
        )
        return [waiting, done("awaiting_plan")]

    with chat(tmp_path, plan(1), plan(2), END) as (person, double):
        person.wait_for("☰ Plan 1")
        decide(person, "m")
        person.wait_for("What should change?")
        person.type("smaller")
        person.wait_for("☰ Plan 2")
        decide(person, "a")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert double.messages[1]["feedback"] == "smaller"
        assert double.messages[2]["approval_request_id"] == "plan-approval-2"


def test_question_is_answered_by_number_or_in_words(tmp_path: Path) -> None:
    question: Reply = [says("Which?", metadata={"suggestions": ["red", "blue"]}), done("awaiting_answer")]
    with chat(tmp_path, question, question, END) as (person, double):
        person.wait_for("2. blue")
        person.wait_for("Your answer")
        person.type("2")
        person.wait_for("1. red")
        person.wait_for("Your answer")
        person.type("green")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert [message["content"] for message in double.messages] == ["go", "blue", "green"]


def test_control_c_cancels_the_run_and_a_conversation_goes_on(tmp_path: Path) -> None:
    replies: list[Reply] = [[delta("Thinking"), "hang"], END]
    with chat(tmp_path, *replies, options=()) as (person, double):
        person.wait_for("You")
        person.type("think")
        person.wait_for("Thinking")
        person.press_control_c()
        person.wait_for("The run was cancelled.")
        person.wait_for("Cancelled")
        person.wait_for("You")
        person.type("/help")
        person.wait_for("/quit")
        person.wait_for("You:")
        person.type("again")
        person.wait_for("All done.")
        person.wait_for("You")
        person.press_control_d()
        assert person.leave() == 0
        assert double.cancels == 1


def test_control_c_in_a_single_task_fails_it(tmp_path: Path) -> None:
    with chat(tmp_path, write_call()) as (person, double):
        person.wait_for("Decision")
        person.press_control_c()
        person.wait_for("Cancelled")
        assert person.leave() == 1
        assert double.cancels == 1
        assert not (tmp_path / "b.txt").exists()


def test_agent_is_chosen_in_a_conversation(tmp_path: Path) -> None:
    switch = chunk("agent_switched", content="x", metadata={"from_agent": "coder", "to_agent": "ask", "reason": "r"})
    with chat(tmp_path, [switch, done()], END, options=()) as (person, double):
        person.wait_for("You")
        person.type("/agent ask")
        person.wait_for("coder → ask")
        person.wait_for("You")
        person.type("hello")
        person.wait_for("All done.")
        person.wait_for("You")
        person.type("/quit")
        assert person.leave() == 0
        assert double.messages[0]["agent_type"] == "ask"


def test_second_control_c_leaves_at_once(tmp_path: Path) -> None:
    with chat(tmp_path, [delta("Thinking"), "hang"]) as (person, double):
        double.obeys_cancel = False
        person.wait_for("Thinking")
        person.press_control_c()
        person.wait_for("Ctrl-C again leaves")
        person.press_control_c()
        assert person.leave() == 1
        assert double.hanging.is_set()


def test_control_c_stops_the_command_that_runs(tmp_path: Path) -> None:
    marker = f"{time.time_ns() % 10**9 + 10**9}"
    call = calls("c1", "execute_command", asks=True, command=f"touch started; sleep {marker}")
    with chat(tmp_path, [call, done("awaiting_approval")], APPROVED) as (person, _):
        decide(person, "a")
        deadline = time.monotonic() + 10
        while not (tmp_path / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        person.press_control_c()
        person.wait_for("Cancelled")
        assert person.leave() == 1
    wait_until_ended("sleep", marker)
