"""Containment: no path, link or race leads a tool call out of the workspace."""

import os
import threading
from datetime import date
from pathlib import Path

import pytest

from client.workspace.folder import Refusal, Workspace
from tests.client.workspace.tool_calls import execute


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "work"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    return Workspace(root)


@pytest.mark.parametrize(
    "path", ["../outside/secret.txt", "a/../../outside/secret.txt", "/etc/passwd", "..", "", "  ", "a\0b"]
)
def test_path_that_leads_out_is_refused(workspace: Workspace, path: str) -> None:
    with pytest.raises(Refusal):
        workspace.locate(path)


def test_absolute_path_inside_is_accepted(workspace: Workspace) -> None:
    assert workspace.locate(str(workspace.root / "a.txt")).target == workspace.root / "a.txt"


def test_neighbour_with_the_same_beginning_is_outside(workspace: Workspace) -> None:
    neighbour = workspace.root.with_name("work-other")
    neighbour.mkdir()
    with pytest.raises(Refusal):
        workspace.locate(str(neighbour))


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_file", {"path": "link/secret.txt"}),
        ("write_file", {"path": "link/new.txt", "content": "x"}),
        ("write_file", {"path": "link/deep/new.txt", "content": "x", "create_dirs": True}),
        ("write_file", {"path": "file-link", "content": "x"}),
        ("create_directory", {"path": "link/new"}),
        ("list_files", {"path": "link"}),
        ("search_in_code", {"query": "secret", "path": "link"}),
        ("execute_command", {"command": "ls", "cwd": "link"}),
    ],
)
def test_link_out_of_the_workspace_is_refused(workspace: Workspace, tool: str, arguments: dict[str, object]) -> None:
    outside = workspace.root.parent / "outside"
    (workspace.root / "link").symlink_to(outside)
    (workspace.root / "file-link").symlink_to(outside / "secret.txt")
    outcome = execute(workspace, tool, arguments)
    assert outcome.error is not None
    assert "out of the workspace" in outcome.error
    assert sorted(path.name for path in outside.iterdir()) == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "secret"


def test_link_inside_the_workspace_is_followed(workspace: Workspace) -> None:
    (workspace.root / "real.txt").write_text("old")
    (workspace.root / "link.txt").symlink_to("real.txt")
    assert execute(workspace, "write_file", {"path": "link.txt", "content": "new"}).error is None
    assert (workspace.root / "real.txt").read_text() == "new"
    assert (workspace.root / "link.txt").is_symlink()


def test_link_that_points_to_itself_is_refused(workspace: Workspace) -> None:
    (workspace.root / "loop").symlink_to("loop")
    assert execute(workspace, "read_file", {"path": "loop"}).error


def test_dangling_link_out_creates_nothing(workspace: Workspace) -> None:
    target = workspace.root.parent / "outside" / "new.txt"
    (workspace.root / "link").symlink_to(target)
    assert execute(workspace, "write_file", {"path": "link", "content": "x"}).error
    assert not target.exists()


def test_folder_swapped_for_a_link_after_the_check_is_not_followed(workspace: Workspace) -> None:
    outside = workspace.root.parent / "outside"
    (workspace.root / "sub").mkdir()
    target = workspace.locate("sub/new.txt")
    (workspace.root / "sub").rmdir()
    (workspace.root / "sub").symlink_to(outside)
    with pytest.raises(Refusal, match="was replaced"), workspace.folder_of(target):
        pass


def test_writes_stay_inside_while_a_folder_flickers_to_a_link(workspace: Workspace) -> None:
    """200 writes against a thread that swaps the folder and a link out (no seed needed: only outcomes are checked)."""
    outside, sub, spare = workspace.root.parent / "outside", workspace.root / "sub", workspace.root / "spare"
    sub.mkdir()
    link = workspace.root / "link"
    link.symlink_to(outside)
    stop = threading.Event()

    def flicker() -> None:
        while not stop.is_set():
            os.rename(sub, spare)
            os.rename(link, sub)
            os.rename(sub, link)
            os.rename(spare, sub)

    thread = threading.Thread(target=flicker)
    thread.start()
    try:
        for number in range(200):
            execute(workspace, "write_file", {"path": f"sub/{number}.txt", "content": "x"})
    finally:
        stop.set()
        thread.join()
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]


def test_named_pipe_is_refused_at_once(workspace: Workspace) -> None:
    os.mkfifo(workspace.root / "pipe")
    assert execute(workspace, "read_file", {"path": "pipe"}).error == "Path 'pipe' is not a regular file."
    assert execute(workspace, "write_file", {"path": "pipe", "content": "x"}).error


def test_own_folder_is_not_written_by_tool_calls(workspace: Workspace) -> None:
    outcome = execute(workspace, "write_file", {"path": ".agent-runtime/x", "content": "", "create_dirs": True})
    assert outcome.error is not None
    assert "belongs to the terminal client" in outcome.error


def test_environment_names_the_machine(workspace: Workspace) -> None:
    (workspace.root / ".git").mkdir()
    declared = workspace.environment()
    assert declared["workspace_root"] == str(workspace.root)
    assert declared["has_git"] is True
    assert declared["os"] in ("linux", "macos", "windows")
    assert declared.get("shell") in ("bash", "sh", None)


@pytest.mark.parametrize(
    ("head", "branch"),
    [
        ("ref: refs/heads/main\n", "main"),
        ("ref: refs/heads/topic/issue-1.2+x", "topic/issue-1.2+x"),
        ("0123456789abcdef0123456789abcdef01234567\n", None),
        ("ref: refs/heads/main\nand more\n", None),
        ("ref: refs/heads/two words\n", None),
        (f"ref: refs/heads/{'x' * 500}\n", None),
        ("", None),
    ],
)
def test_the_branch_is_declared_as_the_repository_names_it(tmp_path: Path, head: str, branch: str | None) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)
    declared = Workspace(tmp_path).environment()
    assert declared.get("git_branch") == branch
    assert date.fromisoformat(declared["date"]).year > 2000


def test_a_head_that_is_no_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "elsewhere").write_text("ref: refs/heads/elsewhere\n")
    (tmp_path / ".git" / "HEAD").symlink_to(tmp_path / "elsewhere")
    assert "git_branch" not in Workspace(tmp_path).environment()
    (tmp_path / ".git" / "HEAD").unlink()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert "git_branch" not in Workspace(tmp_path).environment()
