"""A write that loses most of its file is asked about, or refused where no person is, although a rule allows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agents.replies.compiled_edit import go_on_after
from agents.replies.dispatch import Step, judge
from agents.roster import ROSTER
from context import Context
from llm.tool_calls import written_call
from policy.decide import Facts
from policy.rules import Rules, load_rules

RULE = """
version = 1

[[rule]]
id = "library"
tool = "write_file"
path = ["lib/**"]
decision = "allow"
why = "The library is written unattended."
match = [{ path = "lib/a.py" }]
not_match = [{ path = "a.py" }]
"""
LINES = [f"line {number}" for number in range(10)]


def read(call_id: str, lines: list[str]) -> list[AnyMessage]:
    call = {"id": call_id, "name": "read_file", "args": {"path": "lib/a.py"}}
    told = {"untrusted": True}
    return [
        AIMessage("", tool_calls=[call]),
        ToolMessage("\n".join(lines), tool_call_id=call_id, name="read_file", additional_kwargs=told),
    ]


THREAD: list[AnyMessage] = [HumanMessage("shorten it", id="user_1"), *read("r1", LINES)]


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    file = tmp_path / "rules.toml"
    file.write_text(RULE)
    return load_rules(file)


def written(rules: Rules, lines: list[str], *, human: bool, thread: Sequence[AnyMessage] = THREAD) -> Step:
    call = written_call("w1", "write_file", json.dumps({"path": "lib/a.py", "content": "\n".join(lines)}))
    context = Context(rules=rules, facts=Facts(human=human))
    told: list[Any] = []
    return judge([call], ["w1"], ROSTER["coder"], frozenset({"write_file"}), {}, context, told.append, thread=thread)


def test_a_write_that_keeps_the_file_is_made(rules: Rules) -> None:
    step = written(rules, [*LINES, "more"], human=False)
    assert [call["verdict"]["verdict"] for call in step.round or []] == ["allow"]


def test_a_write_that_loses_most_of_the_file_is_refused(rules: Rules) -> None:
    step = written(rules, LINES[:4], human=False)
    assert not step.round
    (answer,) = step.messages
    assert "it takes 6 of the 10 lines out of lib/a.py" in str(answer.content)


def test_with_a_person_it_is_asked_about(rules: Rules) -> None:
    step = written(rules, LINES[:4], human=True)
    assert [call["verdict"]["verdict"] for call in step.round or []] == ["ask"]


def test_what_another_program_changed_between_two_reads_may_be_put_back(rules: Rules) -> None:
    changed = [*LINES[:3], "changed", *LINES[4:]]
    step = written(rules, LINES, human=True, thread=[*THREAD, *read("r2", changed)])
    assert [call["verdict"]["verdict"] for call in step.round or []] == ["allow"]


@pytest.mark.parametrize("human", [True, False])
def test_an_edit_that_is_a_read_and_a_write_is_held_to_the_same(rules: Rules, *, human: bool) -> None:
    text = "\n".join(LINES) + "\n"
    call = written_call("e1", "edit_file", json.dumps({"path": "lib/a.py", "old": text, "new": "line 0\n"}))
    context = Context(rules=rules, facts=Facts(human=human))
    told: list[Any] = []
    offered = frozenset({"edit_file", "read_file", "write_file"})
    step = judge([call], ["e1"], ROSTER["coder"], offered, {}, context, told.append, thread=THREAD[:1])
    (hidden,) = step.round or []
    made = go_on_after(hidden, {"result": {"success": True, "content": text}}, context)
    if human:
        assert isinstance(made, dict)
        assert (made["call_id"], made["tool_name"], made["verdict"]["verdict"]) == ("e1", "write_file", "ask")
    else:
        assert isinstance(made, str)
        assert "it takes 9 of the 10 lines out of lib/a.py" in made
