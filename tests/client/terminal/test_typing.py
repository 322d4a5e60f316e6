"""Decisions come from a person: what was typed ahead, pasted or came in a burst decides nothing."""

import sys
from pathlib import Path

import pytest

from tests.client.runtime_double import delta, done, says, status
from tests.client.terminal.test_dialogue import APPROVED, END, chat, write_call

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="there is no pty"), pytest.mark.timeout(400)]

PASTE = "\x1b[200~{}\x1b[201~"
REJECTED = [status("c1", "rejected"), says("I see."), done()]


def test_request_and_answer_pasted_together_are_one_request(tmp_path: Path) -> None:
    with chat(tmp_path, write_call(), REJECTED, options=()) as (person, double):
        person.wait_for("You")
        person.send("delete everything\na\n")
        person.wait_for("Decision")
        person.type("r")
        person.wait_for("Why?")
        person.type("")
        person.wait_for("I see.")
        assert double.messages[0]["content"] == "delete everything\na"
        assert [message["type"] for message in double.messages] == ["user_message", "hitl_decision"]


def test_pasted_traceback_is_one_request(tmp_path: Path) -> None:
    lines = ["Traceback (most recent call last):"] + [f'  File "x.py", line {number}' for number in range(200)]
    for text, enter in ((PASTE.format("\r".join(lines)), "\r"), ("\r".join(lines) + "\r", "")):
        with chat(tmp_path, END, options=()) as (person, double):
            person.wait_for("You")
            person.send(text)
            if enter:
                person.wait_for("line 199")
                person.send(enter)
            person.wait_for("All done.")
            assert [message["content"] for message in double.messages] == ["\n".join(lines)]


@pytest.mark.parametrize("typed", ["a\n", "approve\n", PASTE.format("a\n"), "\x1b[200~a\n"])
def test_what_was_typed_before_the_question_decides_nothing(tmp_path: Path, typed: str) -> None:
    with chat(tmp_path, [delta("Thinking"), "hang"], write_call(), REJECTED, options=()) as (person, double):
        person.wait_for("You")
        person.type("think")
        person.wait_for("Thinking")
        person.send(typed)
        person.press_control_c()
        person.wait_for("Cancelled")
        person.wait_for("You")
        person.type("go")
        person.wait_for("Decision")
        person.type("r")
        person.wait_for("Why?")
        person.type("")
        person.wait_for("I see.")
        assert [message.get("decision") for message in double.messages] == [None, None, "reject"]
        assert double.messages[1]["content"] == "go"


@pytest.mark.parametrize("pasted", [PASTE.format("a\n"), PASTE.format("a"), "x\na\nb\n", "a\na\n"])
def test_paste_into_a_question_decides_nothing(tmp_path: Path, pasted: str) -> None:
    with chat(tmp_path, write_call(danger="normal"), REJECTED) as (person, double):
        person.wait_for("Decision")
        person.send(pasted)
        person.wait_for("A paste decides nothing")
        person.type("r")
        person.wait_for("Why?")
        person.type("")
        person.wait_for("I see.")
        assert [message.get("decision") for message in double.messages] == [None, "reject"]


def test_high_danger_wants_the_whole_word(tmp_path: Path) -> None:
    with chat(tmp_path, write_call(danger="high"), APPROVED, END) as (person, double):
        person.wait_for("Decision")
        person.type("a")
        person.wait_for("Please type one of: approve")
        person.wait_for("Decision")
        person.type("approve")
        person.wait_for("All done.")
        assert person.leave() == 0
        assert [message.get("decision") for message in double.messages[:2]] == [None, "approve"]


def test_edit_of_a_dangerous_call_wants_the_whole_word_too(tmp_path: Path) -> None:
    with chat(tmp_path, write_call(danger="high"), REJECTED) as (person, double):
        person.wait_for("Decision")
        person.type("e")
        person.wait_for("Alt-Enter ends")
        person.wait_for("original")
        person.send("more\x1b\r")
        person.wait_for("run it as edited")
        person.wait_for("Decision")
        person.type("b")
        person.wait_for("reject")
        person.wait_for("Decision")
        person.type("r")
        person.wait_for("Why?")
        person.type("")
        person.wait_for("I see.")
        assert [message.get("decision") for message in double.messages] == [None, "reject"]


def test_request_of_several_lines_and_history(tmp_path: Path) -> None:
    with chat(tmp_path, END, END, options=()) as (person, double):
        person.wait_for("You")
        person.send("one\x1b\rtwo\r")
        person.wait_for("All done.")
        person.wait_for("You")
        person.send("\x1b[A")
        person.wait_for("two")
        person.send("!\r")
        person.wait_for("All done.")
        assert [message["content"] for message in double.messages] == ["one\ntwo", "one\ntwo!"]
