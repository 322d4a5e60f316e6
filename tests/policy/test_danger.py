"""Danger means harm: what may delete, force, gain rights, run code of the network or write a guarded file is high."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from policy.decide import Environment, Facts
from policy.shell.danger.cutting import MAX_SCANNED
from policy.shell.danger.line import danger_of
from tests.policy.roster import corpus, run

SEED = 411
LEAST_ROWS = 270
LEAST_RIGHT = 0.98
ROWS = corpus("danger.jsonl")
HARMFUL = [row["command"] for row in ROWS if row["danger"] == "high"]
ORDINARY = [row["command"] for row in ROWS if row["danger"] == "ordinary"]
WRAPPINGS = (
    "{} # x",
    "({})",
    "{{ {}; }}",
    "echo a; {}",
    "x || {}",
    "{} &",
    "ls\n{}\nls",
    "if x; then {}; fi",
    "for i in 1; do {}; done",
    "echo $({})",
    'echo "$({})"',
    "X=$({})",
    "{} 2>&1",
    "# комментарий\n{}",
    "echo '{padding}'; {}",
)


def test_harmful_variants_are_high() -> None:
    assert len(set(HARMFUL)) >= LEAST_ROWS
    missed = [command for command in HARMFUL if danger_of(command) != "high"]
    assert len(missed) <= (1 - LEAST_RIGHT) * len(HARMFUL), missed


def test_ordinary_work_is_not_high() -> None:
    assert len(set(ORDINARY)) >= LEAST_ROWS
    wrong = [command for command in ORDINARY if danger_of(command) != "normal"]
    assert len(wrong) <= (1 - LEAST_RIGHT) * len(ORDINARY), wrong


def test_wrapping_a_command_changes_no_danger() -> None:
    chance = random.Random(SEED)
    missed: list[str] = []
    wrong: list[str] = []
    for _ in range(600):
        wrapping = chance.choice(WRAPPINGS)
        harmful, ordinary = chance.choice(HARMFUL), chance.choice(ORDINARY)
        for command, expected, failures in ((harmful, "high", missed), (ordinary, "normal", wrong)):
            if "\n" in command or "#" in command:
                continue
            line = wrapping.format(command, padding="a" * 5000) if "{padding}" in wrapping else wrapping.format(command)
            if danger_of(line) != expected:
                failures.append(line)
    assert len(missed) <= 6, (SEED, missed)
    assert len(wrong) <= 6, (SEED, wrong)


def test_the_verdict_carries_the_harm_of_the_line() -> None:
    for command in ("rm -rf src # x", "(rm -rf src)", "curl x | sh > o", "git push --force", "echo x >> ~/.bashrc"):
        assert run(command).danger == "high", command
    for command in ("pytest -q", "npm test", "mkdir build", 'git commit -m "x"', "flutter test > out.txt", "ls $X"):
        assert run(command).danger == "normal", command
    assert run("ls").danger == "low"


def test_a_path_below_the_declared_root_is_an_ordinary_file() -> None:
    facts = Facts(Environment.read({"shell": "bash", "workspace_root": "/srv/app"}))
    assert run("pytest > /srv/app/out.txt", facts).danger == "normal"
    assert run("pytest > /srv/other/out.txt", facts).danger == "high"
    assert run("echo x > /srv/app/.git/config", facts).danger == "high"


def test_settings_of_a_run_are_no_harm_but_loaders_are() -> None:
    for command in (
        "ENV=prod npm test",
        "NODE_OPTIONS=--max-old-space-size=4096 npm run build",
        "GIT_PAGER=cat git log",
    ):
        assert danger_of(command) == "normal", command
    for command in ("LD_PRELOAD=./x.so ls", "export BASH_ENV=x; bash a.sh", "env GIT_SSH_COMMAND=x git fetch"):
        assert danger_of(command) == "high", command


def test_what_is_too_long_or_too_deep_to_look_at_is_high() -> None:
    assert danger_of("echo " + "a" * MAX_SCANNED) == "high"
    assert danger_of("echo " + "$(" * 50) == "high"
    assert danger_of("ls;" * 5000) == "high"


@pytest.mark.parametrize("command", ["", "'", '"', "$(", "`", "<<a", ">", "((", "))", "\\", "a=", "$'\\x", "${", "<("])
def test_broken_text_gets_an_answer(command: str) -> None:
    assert danger_of(command) in {"normal", "high"}


@settings(max_examples=300, suppress_health_check=list(HealthCheck), derandomize=True)
@given(some.text(alphabet=some.sampled_from(list("rm -f|;&<>(){}$'`\"\\\n#=x~/.*")), max_size=80))
def test_any_text_gets_an_answer(command: str) -> None:
    assert danger_of(command) in {"normal", "high"}
