"""More restrictions never loosen a verdict, and more segments never turn a question into a go."""

from __future__ import annotations

import random
from typing import Any

from policy.decide import Environment, Facts
from policy.shell.command import classify
from policy.verdicts.verdict import Verdict
from tests.policy.roster import BASH, RULES, corpus, judge, run

SEED = 99
ORDER = {"allow": 0, "ask": 1, "deny": 2}
ROWS = [row["command"] for row in corpus("commands_dev.jsonl")]
PATHS = [(row["agent"], row["tool"], row["path"]) for row in corpus("paths_dev.jsonl")]
WISHES: list[dict[str, Any]] = [
    {"id": "a", "tool": "execute_command", "command": ["git"], "decision": "ask"},
    {"id": "b", "tool": "execute_command", "command": [["ls", "cat"]], "decision": "deny"},
    {"id": "c", "tool": "execute_command", "decision": "ask"},
    {"id": "d", "tool": "write_file", "path": ["docs/**"], "decision": "deny"},
    {"id": "e", "tool": ["read_file", "write_file"], "path": ["**"], "decision": "ask"},
    {"id": "f", "tool": "write_file", "decision": "allow"},
    {"id": "g", "tool": "execute_command", "command": ["rm"], "decision": "allow"},
]


def _stricter_or_equal(after: Verdict, before: Verdict) -> bool:
    return ORDER[after.decision] >= ORDER[before.decision]


def test_adding_a_segment_never_turns_a_question_into_a_go() -> None:
    chance = random.Random(SEED)
    asked = [row for row in ROWS if classify(row, None, "bash").decision != "allow"]
    for _ in range(1500):
        first, second = chance.choice(asked), chance.choice(ROWS)
        joint = chance.choice([" && ", "; ", " | ", " || ", "\n", ";"])
        line = joint.join(chance.sample([first, second], 2))
        assert classify(line, None, "bash").decision != "allow", line


def test_joining_allowed_lines_stays_inside_the_list() -> None:
    chance = random.Random(SEED)
    safe = [row for row in ROWS if classify(f"{row} && pwd", None, "bash").decision == "allow"]
    assert len(safe) > 40
    for _ in range(500):
        first, second = chance.choice(safe), chance.choice(safe)
        verdict = classify(f"{first} && {second}", None, "bash")
        has_moved = first.startswith("cd ") and "git" in second
        assert (verdict.decision == "allow") != has_moved, (first, second)


def test_project_rules_never_loosen_a_verdict() -> None:
    chance = random.Random(SEED)
    for _ in range(300):
        rules = RULES.with_project(chance.sample(WISHES, chance.randint(1, 4)))
        command = chance.choice(ROWS)
        assert _stricter_or_equal(run(command, rules=rules), run(command)), command
        agent, tool, path = chance.choice(PATHS)
        arguments = {"path": path, "content": ""}
        assert _stricter_or_equal(judge(agent, tool, arguments, rules=rules), judge(agent, tool, arguments)), path


def test_an_absent_human_and_a_missing_shell_never_loosen_a_verdict() -> None:
    for command in ROWS:
        before = run(command)
        for facts in (Facts(BASH, human=False), Facts(), Facts(Environment.read({"shell": "powershell"}))):
            assert _stricter_or_equal(run(command, facts), before), command
        assert _stricter_or_equal(run(command, cwd="lib"), before), command


def test_the_same_question_gets_the_same_answer() -> None:
    for command in ROWS[::7]:
        assert run(command) == run(command)
