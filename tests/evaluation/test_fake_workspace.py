"""The workspace of a task answers as the terminal client does, and never says that a command ran that did not."""

from __future__ import annotations

import pytest

from evaluation.fake_workspace import FakeWorkspace
from evaluation.tasks import CommandOutput, read_tasks
from tools.catalog import BY_NAME

FILES = {"lib/a.py": "one\ntwo = 22\n", "lib/b.py": "Two\n", "README.md": "two\n"}


@pytest.fixture
def workspace() -> FakeWorkspace:
    return FakeWorkspace(FILES, {"pytest": CommandOutput(stdout="1 failed", exit_code=1)})


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"query": "two"}, ["README.md:1", "lib/a.py:2", "lib/b.py:1"]),
        ({"query": "two", "case_sensitive": True}, ["README.md:1", "lib/a.py:2"]),
        ({"query": "two", "path": "lib"}, ["lib/a.py:2", "lib/b.py:1"]),
        ({"query": "two", "file_pattern": "*.md"}, ["README.md:1"]),
        ({"query": r"= \d+$", "regex": True}, ["lib/a.py:2"]),
        ({"query": "t.o"}, []),
        ({"query": "two", "max_results": 1}, ["README.md:1"]),
        ({"query": "two", "path": "/workspace/lib"}, ["lib/a.py:2", "lib/b.py:1"]),
    ],
)
def test_a_search_honours_its_arguments(
    workspace: FakeWorkspace, arguments: dict[str, object], found: list[str]
) -> None:
    matches = workspace.answer("search_in_code", arguments)["result"]["matches"]
    assert sorted(f"{match['path']}:{match['line']}" for match in matches) == found


def test_a_search_that_is_wrong_is_an_error(workspace: FakeWorkspace) -> None:
    assert "not valid" in workspace.answer("search_in_code", {"query": "(", "regex": True})["error"]
    assert "no file or folder" in workspace.answer("search_in_code", {"query": "x", "path": "none"})["error"]


def test_a_listing_knows_folders_and_patterns(workspace: FakeWorkspace) -> None:
    def names(**arguments: object) -> list[str]:
        items = workspace.answer("list_files", {"path": ".", **arguments})["result"]["items"]
        return sorted(item["path"] for item in items)

    assert names() == ["README.md", "lib"]
    assert names(recursive=True) == ["README.md", "lib", "lib/a.py", "lib/b.py"]
    assert names(recursive=True, pattern="*.py") == ["lib/a.py", "lib/b.py"]
    assert names(path="/workspace/lib") == ["lib/a.py", "lib/b.py"]
    assert "error" in workspace.answer("list_files", {"path": "none"})


def test_only_prepared_commands_have_a_result(workspace: FakeWorkspace) -> None:
    assert workspace.answer("execute_command", {"command": "pytest -q"})["result"]["exit_code"] == 1
    refused = workspace.answer("execute_command", {"command": "rm -rf lib"})
    assert "cannot run commands" in refused["error"]
    assert workspace.files == FILES


def test_writes_change_its_files_alone(workspace: FakeWorkspace) -> None:
    assert workspace.answer("write_file", {"path": "./c.py", "content": "é"})["result"]["bytes_written"] == 2
    assert "was not read" in workspace.answer("write_file", {"path": "lib/b.py", "content": "x"})["error"]
    workspace.answer("read_file", {"path": "lib/../lib/b.py"})
    edit = {"path": "/workspace/lib/b.py", "old": "Two", "new": "2"}
    assert workspace.answer("edit_file", edit)["result"]["replaced"] == 1
    assert "error" in workspace.answer("write_file", {"path": "../outside.py", "content": "x"})
    assert "error" in workspace.answer("write_file", {"path": "/etc/outside.py", "content": "x"})
    assert workspace.files == {**FILES, "c.py": "é", "lib/b.py": "2\n"}


def test_every_tool_of_a_client_is_answered(workspace: FakeWorkspace) -> None:
    for name, tool in BY_NAME.items():
        if tool.runs == "client":
            assert "no tool" not in str(workspace.answer(name, dict.fromkeys(tool.parameters["properties"], "x")))
    assert workspace.answer("delete_file", {"path": "b"}) == {"error": "This client has no tool 'delete_file'."}


def test_the_tasks_name_the_exit_status_of_what_fails() -> None:
    outputs = [output for task in read_tasks() for output in task.commands.values()]
    assert {output.exit_code for output in outputs} == {0, 1}
