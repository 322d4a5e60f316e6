"""The labels of an evaluation: names that exist, lines that a change replaces, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.roster import ROSTER
from errors import ConfigurationError
from evaluation.tasks import EDITS, HELD_OUT, TASKS, read_requests, read_tasks
from tests.evaluation.conftest import REQUESTS, ROOT

PROMPTS = ROOT / "prompts"
TUNING = ROOT / "evaluation" / "labels" / "tuning.jsonl"


def test_labels_name_agents_and_tools_that_exist() -> None:
    tasks = [*read_tasks(), *read_tasks(HELD_OUT), *read_tasks(EDITS)]
    for task in tasks:
        assert task.agent in ROSTER
        assert task.tools | task.may <= ROSTER[task.agent].tools
    assert len({task.name for task in tasks}) == len(tasks)
    assert {request.expect for request in read_requests(REQUESTS)} <= set(ROSTER)


def test_no_label_is_solved_by_an_example_of_a_prompt() -> None:
    prompts = "\n".join(path.read_text(encoding="utf-8").lower() for path in PROMPTS.glob("*.md"))
    texts = [task.text for task in [*read_tasks(), *read_tasks(HELD_OUT), *read_tasks(EDITS)]]
    texts += [request.text for request in read_requests(REQUESTS)]
    assert [text for text in texts if text.lower().strip(".") in prompts] == []


@pytest.mark.parametrize(
    "content", ["no json", '{"name": "x"}', '{"name": "x", "agent": "coder", "text": "y", "z": 1}']
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tasks.jsonl"
    with pytest.raises(ConfigurationError, match=r"tasks\.jsonl"):
        read_tasks(file)
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"tasks\.jsonl"):
        read_tasks(file)


@pytest.mark.parametrize("labels", [TASKS, EDITS, HELD_OUT, TUNING], ids=lambda path: path.stem)
def test_labels_say_which_lines_a_wished_change_replaces(labels: Path) -> None:
    for task in read_tasks(labels):
        for path, texts in task.replaces.items():
            for text in texts:
                assert text in task.files[path], f"{task.name}: {text!r} is no text of {path}"
        assert not (task.unchanged and task.replaces), task.name
