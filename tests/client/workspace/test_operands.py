"""A command without approval asks when an operand leads through a link, however the operand is written."""

import os
from pathlib import Path

import pytest

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import Examination, ToolRequest
from policy.decide import Call, Environment, Facts, Rights, decide
from policy.rules import load_rules


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "work"
    for folder in ("src", "docs", "plain", "secrets"):
        (root / folder).mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "private.txt").write_text("private\n")
    (root / "secrets/.env").write_text("KEY=secret\n")
    (root / "src/a.txt").write_text("a\n")
    (root / "plain/b.txt").write_text("b\n")
    (root / "README.md").write_text("# Work\n")
    (root / "notes.md").symlink_to("secrets/.env")
    (root / "alias.md").symlink_to("README.md")
    (root / "docs/out.txt").symlink_to(outside / "private.txt")
    (root / "far").symlink_to(outside)
    return Workspace(root)


def examine(workspace: Workspace, command: str, *, is_asked: bool = False, cwd: str | None = None) -> Examination:
    """Examine a command as it arrives when the policy has cleared it: with its execution contract."""
    arguments = {"command": command} | ({"cwd": cwd} if cwd else {})
    rights = Rights("coder", "Coder", frozenset({"execute_command"}), "any")
    environment = Environment.read({"shell": "bash", "workspace_root": str(workspace.root)})
    verdict = decide(Call("execute_command", arguments), rights, Facts(environment=environment), load_rules())
    assert is_asked or verdict.decision == "allow", verdict.reasons
    request = ToolRequest("execute_command", arguments, is_asked=is_asked, execution=verdict.execution)
    return WorkspaceExecutor(workspace).examine(request)


@pytest.mark.parametrize(
    "command",
    [
        "cat notes.md",
        "cat ./notes.md",
        "head -n 1 README.md notes.md",
        "cat docs/out.txt",
        "cat far/private.txt",
        "ls far",
        "cat src/a.txt | wc -l notes.md",
        "ls ./*",
        "cat n*.md",
        "cat d*/o*.txt",
        "cat docs/o*.txt",
        "ls d*/out.txt",
        "cd docs && cat out.txt",
        "cd far && ls",
        "grep -r private far",
        "grep -f notes.md README.md",
        "grep --file=notes.md x README.md",
        "sort notes.md",
        "sed -n 1,3p notes.md",
        "find far",
    ],
)
def test_operand_through_a_link_asks(workspace: Workspace, command: str) -> None:
    examined = examine(workspace, command)
    assert [concern.danger for concern in examined.concerns if concern.danger == "high"], examined.concerns


@pytest.mark.parametrize(
    "command",
    [
        "grep -R private .",
        "grep -R private",
        "grep -nR src",
        "diff -r docs plain",
        "diff docs plain",
        "rg -L private",
        "ls -LR",
        "tree -l",
        "du -aL",
    ],
)
def test_walk_that_follows_links_asks_unless_the_policy_took_that_away(workspace: Workspace, command: str) -> None:
    examined = WorkspaceExecutor(workspace).examine(ToolRequest("execute_command", {"command": command}))
    assert "high" in [concern.danger for concern in examined.concerns]


@pytest.mark.parametrize(
    "command",
    [
        "cat README.md",
        "cat src/a*.txt",
        "ls",
        "ls -la",
        "grep -r private src",
        "wc -l src/a.txt plain/b.txt",
        "cat R*.md",
        "diff src plain",
        "grep -R b plain",
        "find . -name '*.txt'",
        "echo links",
        "cd src && cat a.txt",
    ],
)
def test_operand_without_a_link_runs(workspace: Workspace, command: str) -> None:
    (workspace.root / "alias.md").unlink()
    if "-R" in command:
        for link in ("notes.md", "docs/out.txt", "far"):
            (workspace.root / link).unlink()
    assert examine(workspace, command).concerns == ()


def test_link_to_an_ordinary_file_asks_with_normal_danger(workspace: Workspace) -> None:
    (concern,) = examine(workspace, "cat alias.md").concerns
    assert (concern.text, concern.danger) == ("'alias.md' is a link and names 'README.md'.", "normal")


def test_absolute_operand_below_the_workspace_is_looked_at_too(workspace: Workspace) -> None:
    argv = [[["cat", str(workspace.root / "notes.md")]]]
    request = ToolRequest("execute_command", {"command": "cat"}, execution={"argv": argv})
    assert WorkspaceExecutor(workspace).examine(request).concerns[0].danger == "high"


def test_command_in_a_folder_that_is_a_link_asks(workspace: Workspace) -> None:
    (workspace.root / "here").symlink_to("src")
    assert "names 'src'" in examine(workspace, "ls", cwd="here").concerns[0].text


def test_command_that_a_person_looks_at_asks_nothing_further(workspace: Workspace) -> None:
    assert examine(workspace, "cat notes.md", is_asked=True).concerns == ()


def test_link_that_appears_after_the_check_stops_the_command(workspace: Workspace) -> None:
    executor = WorkspaceExecutor(workspace)
    examined = executor.examine(ToolRequest("execute_command", {"command": "cat src/a.txt"}))
    assert examined.concerns == ()
    os.unlink(workspace.root / "src/a.txt")
    (workspace.root / "src/a.txt").symlink_to("../secrets/.env")
    outcome = executor.execute(examined)
    assert outcome.error == "What the command names was replaced after it was checked; nothing was run."


def test_more_names_than_can_be_looked_at_ask(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.workspace.operands.MAX_EXPANDED", 1)
    assert "cannot all be checked" in examine(workspace, "ls src/* plain/*").concerns[0].text
