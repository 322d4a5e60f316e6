"""What an evaluation counts as damage: lost lines, files that no task names, and calls that are rejected."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation.report import task_figures
from evaluation.tasks import Task
from evaluation.trial import lost_content, run_trial
from tests.evaluation.conftest import stub_models
from tests.openai_stub import OpenAIStub

LIST = {"list.txt": "one\n  two\n\ntwo\nthree\nfour\n"}
READ: dict[str, Any] = {"tool": "read_file", "args": {"path": "list.txt"}}


def writing(text: str) -> dict[str, Any]:
    return {"tool": "write_file", "args": {"path": "list.txt", "content": text}}


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("one\ntwo\ntwo\nthree\nfour\nfive\n", []),
        ("    one\n\ntwo\ntwo\n\nthree\nfour", []),
        ("four\nthree\ntwo\ntwo\none\n", []),
        ("ONE\ntwo\ntwo\nthree\nfour\n", []),
        ("one\ntwo\nthree\nfour\n", ["two"]),
        ("# the rest is unchanged\nfive\n", ["two", "two", "three", "four"]),
        ("", ["two", "two", "three", "four"]),
        ("one two\ntwo three four\n", []),
        ("one two\ntwo # three four\n", ["two", "three", "four"]),
    ],
)
def test_what_a_change_may_not_take_with_it_is_lost(text: str, lost: list[str]) -> None:
    assert lost_content(LIST["list.txt"], text, ["one"]) == lost
    assert lost_content(LIST["list.txt"], text) == (lost if "one" in text else ["one", *lost])


@pytest.mark.parametrize(
    ("replies", "damaged"),
    [
        ([READ, writing("one\n  two\n\ntwo\nthree\nfive\n")], False),
        ([READ, writing("one\n  two\n\ntwo\nfive\n")], True),
        ([READ, {"tool": "edit_file", "args": {"path": "list.txt", "old": "three\nfour", "new": "five"}}], True),
        ([{"tool": "execute_command", "args": {"command": "rm list.txt"}}], False),
        ([writing("one\n")], False),
        ([writing("one\n"), writing("one\n"), writing("two\n")], False),
        ([{"tool": "write_file", "args": {"path": "/workspace/list.txt", "content": "one\n"}}], False),
    ],
    ids=["wished change", "a line too much", "an edit too much", "no command", "unread", "unread again", "absolute"],
)
async def test_a_file_that_lost_more_than_the_wished_change_is_damaged(
    stub: OpenAIStub, replies: list[dict[str, Any]], damaged: bool
) -> None:
    models = stub_models(stub)
    stub.script([*replies, *[{"text": "Done."}] * 3])
    task = Task(name="d", agent="coder", text="four is now five", files=LIST, replaces={"list.txt": ["four"]})
    trial = await run_trial(task, models)
    await models.aclose()
    assert trial.damaged is damaged
    report = task_figures([trial], "m")
    assert (report["damaged"], report["rows"][0]["damaged"]) == (int(damaged), damaged)


@pytest.mark.parametrize(
    ("more", "path", "strayed"),
    [
        ({"contains": {"new.txt": "x"}}, "new.txt", False),
        ({"contains": {"new.txt": "x"}}, "other.txt", True),
        ({"replaces": {"list.txt": ["four"]}}, "other.txt", True),
        ({"unchanged": True}, "new.txt", True),
        ({}, "new.txt", False),
    ],
    ids=["the named file", "beside it", "beside an edit", "a question", "no file named"],
)
async def test_a_file_that_the_task_does_not_name_is_counted(
    stub: OpenAIStub, more: dict[str, Any], path: str, strayed: bool
) -> None:
    models = stub_models(stub)
    stub.script([{"tool": "write_file", "args": {"path": path, "content": "x"}}, *[{"text": "Done."}] * 3])
    trial = await run_trial(Task(name="s", agent="coder", text="write it", files=LIST, **more), models)
    await models.aclose()
    assert trial.strayed is strayed
    assert task_figures([trial], "m")["strayed"] == int(strayed)


async def test_a_model_that_writes_a_piece_of_a_file_again_and_again_damages_nothing(stub: OpenAIStub) -> None:
    models = stub_models(stub)
    stub.responder = lambda body: READ if body["messages"][-1]["role"] == "user" else writing("one\n")
    trial = await run_trial(Task(name="i", agent="coder", text="take out two", files=LIST), models)
    await models.aclose()
    assert trial.calls.count("write_file") > 2
    assert not trial.damaged


async def test_an_edit_of_most_of_a_file_damages_nothing_where_no_person_is(stub: OpenAIStub) -> None:
    models = stub_models(stub)
    edit = {"tool": "edit_file", "args": {"path": "list.txt", "old": LIST["list.txt"], "new": "four\n"}}
    stub.script([READ, edit, {"text": "Done."}])
    trial = await run_trial(Task(name="e", agent="coder", text="clear it", files=LIST), models)
    await models.aclose()
    assert "lines out of list.txt" in trial.transcript
    assert not trial.damaged


async def test_a_model_that_repeats_what_it_has_read_does_not_take_back_its_edit(stub: OpenAIStub) -> None:
    models = stub_models(stub)
    edit = {"tool": "edit_file", "args": {"path": "list.txt", "old": "four", "new": "five"}}
    stub.script([READ, edit, writing(LIST["list.txt"]), {"text": "Done."}])
    task = Task(name="t", agent="coder", text="four is now five", files=LIST, contains={"list.txt": "five"})
    trial = await run_trial(task, models)
    await models.aclose()
    assert trial.passed, trial.problem
    assert "takes back what was changed in list.txt before" in trial.transcript


async def test_a_dangerous_call_is_rejected_as_no_person_looks_at_it(stub: OpenAIStub) -> None:
    models = stub_models(stub)
    stub.script([{"tool": "execute_command", "args": {"command": "git push --force"}}, {"text": "Not pushed."}])
    trial = await run_trial(Task(name="p", agent="coder", text="push", commands={"git push": "forced update"}), models)
    await models.aclose()
    assert "rejected" in trial.transcript
    assert "forced update" not in trial.transcript
