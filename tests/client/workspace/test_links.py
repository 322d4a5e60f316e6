"""A link does not widen what a call may reach: the resolved name is judged, shown, and is what is opened."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import Examination, ToolRequest


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "work"
    for folder in (".git/hooks", "secrets", "lib", "docs"):
        (root / folder).mkdir(parents=True)
    (root / "secrets/.env").write_text("KEY=secret\n")
    (root / "lib/main.dart").write_text("void main() {}\n")
    (root / "README.md").write_text("# Work\n")
    return Workspace(root)


def examine(workspace: Workspace, tool: str, agent: str = "coder", **arguments: Any) -> Examination:
    return WorkspaceExecutor(workspace).examine(ToolRequest(tool, arguments, agent=agent))


def test_link_to_an_ordinary_file_is_read_without_asking(workspace: Workspace) -> None:
    (workspace.root / "CLAUDE.md").symlink_to("README.md")
    examined = examine(workspace, "read_file", path="CLAUDE.md")
    assert (examined.concerns, examined.refusal) == ((), None)
    assert WorkspaceExecutor(workspace).execute(examined).result["content"] == "# Work\n"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_file", {"path": "docs.md"}),
        ("read_file", {"path": "further.md"}),
        ("read_file", {"path": "public/.env"}),
        ("search_in_code", {"query": "secret", "path": "docs.md"}),
        ("write_file", {"path": "docs.md", "content": "x"}),
    ],
)
def test_link_to_a_secret_makes_the_call_ask_with_high_danger(
    workspace: Workspace, tool: str, arguments: dict[str, Any]
) -> None:
    (workspace.root / "docs.md").symlink_to("secrets/.env")
    (workspace.root / "further.md").symlink_to("docs.md")
    (workspace.root / "public").symlink_to("secrets")
    examined = examine(workspace, tool, **arguments)
    assert [concern.danger for concern in examined.concerns] == ["high"]
    assert "names 'secrets/.env'" in examined.concerns[0].text


def test_folder_that_is_a_link_is_judged_by_its_resolved_name(workspace: Workspace) -> None:
    (workspace.root / "notes").symlink_to(".git")
    assert examine(workspace, "list_files", path="notes").concerns[0].danger == "high"
    assert examine(workspace, "search_in_code", query="x", path="notes/hooks").concerns[0].danger == "high"
    assert "names '.git'" in examine(workspace, "execute_command", command="ls", cwd="notes").concerns[0].text


@pytest.mark.parametrize("path", ["hook.md", "hooks/pre-commit.md"])
def test_link_into_git_is_never_written(workspace: Workspace, path: str) -> None:
    (workspace.root / "hook.md").symlink_to(".git/hooks/pre-commit")
    (workspace.root / "hooks").symlink_to(".git/hooks")
    examined = examine(workspace, "write_file", path=path, content="x")
    assert examined.refusal is not None
    assert "git's own data" in examined.refusal
    assert WorkspaceExecutor(workspace).execute(examined).error == examined.refusal
    assert list((workspace.root / ".git/hooks").iterdir()) == []


def test_file_rule_of_the_agent_holds_for_the_resolved_name(workspace: Workspace) -> None:
    (workspace.root / "design.md").symlink_to("lib/main.dart")
    refusal = examine(workspace, "write_file", "architect", path="design.md", content="x").refusal
    assert refusal is not None
    assert "'design.md' is a link and names 'lib/main.dart'" in refusal
    assert "markdown" in refusal
    (asked,) = examine(workspace, "write_file", "coder", path="design.md", content="x").concerns
    assert (asked.text, asked.danger) == ("'design.md' is a link and names 'lib/main.dart'.", "normal")


def swap_file_for_link(root: Path) -> None:
    os.rename(root / "README.md", root / "old.md")
    (root / "README.md").symlink_to("secrets/.env")


def swap_folder_for_link(root: Path) -> None:
    os.rename(root / "docs", root / "old")
    (root / "docs").symlink_to("secrets")


def swap_folder_for_another(root: Path) -> None:
    os.rename(root / "docs", root / "old")
    os.rename(root / "secrets", root / "docs")


def swap_file_for_hard_link(root: Path) -> None:
    os.unlink(root / "README.md")
    os.link(root / "secrets/.env", root / "README.md")


@pytest.mark.parametrize("change", [swap_file_for_link, swap_file_for_hard_link])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("read_file", {}), ("write_file", {"content": "x"}), ("search_in_code", {"query": "KEY"})],
)
def test_file_swapped_after_approval_is_not_opened(
    workspace: Workspace, change: Callable[[Path], None], tool: str, arguments: dict[str, Any]
) -> None:
    executor = WorkspaceExecutor(workspace)
    examined = executor.examine(ToolRequest(tool, {"path": "README.md", **arguments}, agent="coder"))
    change(workspace.root)
    outcome = executor.execute(examined)
    assert outcome.error is not None or outcome.result["matches"] == []
    assert "KEY=secret" not in str(outcome.result)
    assert (workspace.root / "secrets/.env").read_text() == "KEY=secret\n"


@pytest.mark.parametrize("change", [swap_folder_for_link, swap_folder_for_another])
@pytest.mark.parametrize("path", ["docs/new.md", "docs/.env"])
def test_folder_swapped_after_approval_is_not_written(
    workspace: Workspace, change: Callable[[Path], None], path: str
) -> None:
    executor = WorkspaceExecutor(workspace)
    examined = executor.examine(ToolRequest("write_file", {"path": path, "content": "x"}, agent="coder"))
    change(workspace.root)
    error = executor.execute(examined).error
    assert error == f"Path '{path}' was replaced after it was checked; nothing was done. Try again."
    assert {file.read_text() for file in workspace.root.rglob(".env")} == {"KEY=secret\n"}
    assert list(workspace.root.rglob("new.md")) == []


def test_file_that_appears_after_approval_is_not_overwritten(workspace: Workspace) -> None:
    executor = WorkspaceExecutor(workspace)
    examined = executor.examine(ToolRequest("write_file", {"path": "docs/new.md", "content": "x"}, agent="coder"))
    (workspace.root / "docs/new.md").write_text("mine")
    assert "was replaced" in str(executor.execute(examined).error)
    assert (workspace.root / "docs/new.md").read_text() == "mine"


def test_command_folder_swapped_after_approval_runs_nothing(workspace: Workspace) -> None:
    executor = WorkspaceExecutor(workspace)
    examined = executor.examine(ToolRequest("execute_command", {"command": "touch ran", "cwd": "docs"}))
    swap_folder_for_link(workspace.root)
    assert "nothing was run" in str(executor.execute(examined).error)
    assert not (workspace.root / "secrets/ran").exists()


def test_walks_do_not_enter_links(workspace: Workspace) -> None:
    outside = workspace.root.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (workspace.root / "docs/out").symlink_to(outside)
    (workspace.root / "docs/in").symlink_to("../secrets")
    executor = WorkspaceExecutor(workspace)
    listed = executor.execute(executor.examine(ToolRequest("list_files", {"path": ".", "recursive": True}))).result
    assert [item["path"] for item in listed["items"] if item["path"].startswith("docs/")] == ["docs/in", "docs/out"]
    found = executor.execute(executor.examine(ToolRequest("search_in_code", {"query": "secret"}))).result
    assert found["matches"] == []
