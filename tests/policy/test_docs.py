"""The page for operators is true: its example loads, its answer is the answer, and no class is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

from policy.paths.classes import FAMILIES
from policy.rules import load_rules
from policy.shell.readonly import READ_COMMANDS
from tests.policy.roster import run

PAGE = (Path(__file__).parent.parent.parent / "docs" / "policy.md").read_text(encoding="utf-8")


def _block(language: str, number: int = 0) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[number])


def test_the_example_rules_load_and_work(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(_block("toml"), encoding="utf-8")
    assert run("dart analyze lib", rules=load_rules(file)).decision == "allow"


def test_the_example_answer_is_the_answer() -> None:
    shown = json.loads(_block("json", 1))
    answer = run(json.loads(_block("json"))["arguments"]["command"]).as_wire()
    assert {**answer, "policy_version": shown["policy_version"]} == shown


def test_every_class_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {family.name for family in FAMILIES} <= set(rows)


def test_every_command_that_only_reads_is_named() -> None:
    """All words of a command stand between backticks in one list item: `git status diff …` names `git diff`."""
    text = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    items = [
        " ".join(re.findall(r"`([^`]+)`", item)).split() for item in re.split(r"\n\n|^- ", text, flags=re.MULTILINE)
    ]
    assert [name for name in READ_COMMANDS if not any(set(name.split()) <= set(item) for item in items)] == []
