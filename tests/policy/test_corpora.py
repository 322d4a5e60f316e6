"""The labelled rows: no command that is not safe may run, and every path is judged as labelled."""

from __future__ import annotations

from policy.decide import Facts
from tests.policy.roster import corpus, judge, objects, run

MOST_SAFE_ROWS_ASKED = 3


def test_no_row_that_is_not_safe_is_allowed() -> None:
    allowed = [
        row["command"]
        for row in corpus("commands_dev.jsonl")
        if row["expect"] != "safe" and run(row["command"]).decision == "allow"
    ]
    assert allowed == []


def test_few_safe_rows_ask() -> None:
    asked = [
        row["command"]
        for row in corpus("commands_dev.jsonl")
        if row["expect"] == "safe" and run(row["command"]).decision != "allow"
    ]
    assert len(asked) <= MOST_SAFE_ROWS_ASKED, asked


def test_exactly_the_forbidden_rows_are_denied() -> None:
    rows = corpus("commands_dev.jsonl")
    denied = [row["command"] for row in rows if run(row["command"]).decision == "deny"]
    assert denied == [row["command"] for row in rows if row["expect"] == "forbidden"]


def test_no_command_is_allowed_where_the_shell_is_not_declared() -> None:
    for row in corpus("commands_dev.jsonl"):
        verdict = run(row["command"], Facts())
        assert verdict.decision != "allow", row["command"]


def test_every_path_is_judged_as_labelled() -> None:
    wrong = []
    for row in corpus("paths_dev.jsonl"):
        arguments = {"path": row["path"]} | ({"content": "x"} if row["tool"] == "write_file" else {})
        verdict = judge(row["agent"], row["tool"], arguments)
        asked = "needs_approval" if objects(verdict) else "allow"
        got = "deny" if verdict.decision == "deny" else asked
        if got != row["expect"]:
            wrong.append((row["agent"], row["tool"], row["path"], row["expect"], got))
    assert wrong == []


def test_every_question_and_denial_names_its_reason() -> None:
    for row in corpus("commands_dev.jsonl"):
        verdict = run(row["command"])
        assert bool(verdict.reasons) == (verdict.decision != "allow"), row["command"]
        for reason in verdict.reasons:
            assert reason.text
            assert reason.span is None or 0 <= reason.span[0] < reason.span[1] <= len(row["command"]), row["command"]
