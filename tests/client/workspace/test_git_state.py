"""The state of the repository is declared as git tells it, and nothing that the repository configures runs for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.project import git_state as module
from client.workspace.project.git_state import git_state
from client.workspace.sandbox.boundary import Boundary, NoBoundary
from client.workspace.sandbox.choice import find_boundary
from client.workspace.sandbox.confinement import Confinement

CLEAN = {"staged": 0, "modified": 0, "conflicted": 0, "untracked": 0}


def git(root: Path, *words: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    subprocess.run(["git", "-C", str(root), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for name in ("a.txt", "b.txt", "c.txt"):
        (root / name).write_text(f"{name}\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


@pytest.fixture(params=["sandbox", "none"])
def boundary(request: pytest.FixtureRequest) -> Boundary:
    return find_boundary() if request.param == "sandbox" else NoBoundary()


def state(root: Path, boundary: Boundary | None = None) -> object:
    return git_state(Workspace(root), Confinement(boundary or NoBoundary()))


def test_files_and_commits_are_counted(root: Path, tmp_path: Path, boundary: Boundary) -> None:
    assert state(root, boundary) == CLEAN
    git(tmp_path, "clone", "-q", "--bare", str(root), str(tmp_path / "origin"))
    git(root, "remote", "add", "origin", str(tmp_path / "origin"))
    git(root, "fetch", "-q", "origin")
    git(root, "branch", "-q", "-u", "origin/main")
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    (root / "a.txt").write_text("changed\n")
    (root / "b.txt").write_text("staged\n")
    git(root, "add", "b.txt")
    (root / "new.txt").write_text("new\n")
    assert state(root, boundary) == {
        **CLEAN,
        "staged": 1,
        "modified": 1,
        "untracked": 1,
        "upstream": "origin/main",
        "ahead": 1,
        "behind": 0,
    }


def test_conflicts_are_counted_and_a_detached_head_has_no_upstream(root: Path) -> None:
    git(root, "checkout", "-q", "-b", "other")
    (root / "a.txt").write_text("theirs\n")
    git(root, "commit", "-q", "-am", "theirs")
    git(root, "checkout", "-q", "main")
    (root / "a.txt").write_text("ours\n")
    git(root, "commit", "-q", "-am", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(root, "merge", "other")
    assert state(root) == CLEAN | {"conflicted": 1}
    git(root, "merge", "--abort")
    git(root, "checkout", "-q", "--detach")
    assert state(root) == CLEAN


def hostile(kind: str, root: Path, canary: Path, home: Path) -> None:
    """Let the repository name a program that writes the canary, in one of the ways that git has."""
    program = root.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    program.chmod(0o755)
    match kind:
        case "fsmonitor":
            git(root, "config", "core.fsmonitor", str(program))
        case "filter":
            git(root, "config", "filter.x.clean", str(program))
            (root / ".gitattributes").write_text("* filter=x\n")
        case "filter by include":
            (root / "more").write_text(f'[filter "x"]\n\tclean = {program}\n')
            git(root, "config", "include.path", "../more")
            (root / ".gitattributes").write_text("* filter=x\n")
        case "filter of the person":
            (home / ".gitconfig").write_text(f'[filter "x"]\n\tclean = {program}\n')
            (root / ".gitattributes").write_text("* filter=x\n")
        case "hook":
            hook = root / ".git" / "hooks" / "post-index-change"
            hook.write_bytes(program.read_bytes())
            hook.chmod(0o755)
        case "hooks path":
            (root / "hooks").mkdir()
            (root / "hooks" / "post-index-change").write_bytes(program.read_bytes())
            (root / "hooks" / "post-index-change").chmod(0o755)
            git(root, "config", "core.hooksPath", "hooks")
        case "submodule":
            inner = root.parent / "inner"
            git(root.parent, "clone", "-q", str(root), str(inner))
            git(root, "submodule", "add", "-q", str(inner), "inner")
            git(root / "inner", "config", "core.fsmonitor", str(program))
    (root / "a.txt").write_text("changed\n")
    os.utime(root / "b.txt", (1, 1))  # git has to compare the content, and would write its index


KINDS = ("fsmonitor", "filter", "filter by include", "filter of the person", "hook", "hooks path", "submodule")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_a_repository_names_is_started(
    root: Path, tmp_path: Path, boundary: Boundary, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary, home = tmp_path / "ran", tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    hostile(kind, root, canary, home)
    canary.unlink(missing_ok=True)
    index = (root / ".git" / "index").read_bytes()
    state(root, boundary)
    assert not canary.exists()
    assert (root / ".git" / "index").read_bytes() == index
    subprocess.run(["git", "-C", str(root), "status"], check=True, capture_output=True)
    assert canary.exists(), f"git no longer starts a program by {kind}: the test proves nothing"


def test_variables_of_the_shell_lead_to_no_other_repository(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "-q", str(root), str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere" / "new.txt").write_text("new\n")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "elsewhere"))
    assert state(root) == CLEAN


def test_a_git_of_the_workspace_is_not_the_one_that_is_asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "git").write_text("#!/bin/sh\necho '? planted'\n")
    (root / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{root}{os.pathsep}.{os.pathsep}{os.environ['PATH']}")
    assert state(root) == CLEAN | {"untracked": 1}


def test_what_cannot_be_asked_safely_or_in_time_is_not_declared(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(root, "worktree", "add", "-q", str(tmp_path / "linked"))
    assert state(tmp_path / "linked") is None
    bare = tmp_path / "plain"
    bare.mkdir()
    assert state(bare) is None
    monkeypatch.setattr(module, "TIMEOUT_S", 0)
    assert state(root) is None


def test_the_declared_state_is_that_of_the_beginning_of_the_session(root: Path) -> None:
    executor = WorkspaceExecutor(Workspace(root))
    executor.begin_turn("s1")
    first = executor.environment()
    assert first["git_state"] == CLEAN
    (root / "new.txt").write_text("new\n")
    executor.begin_turn("s1")
    assert executor.environment() == first, "the prompt of a session keeps its beginning"
    executor.begin_turn("s2")
    assert executor.environment()["git_state"] == CLEAN | {"untracked": 1}


def test_a_folder_without_a_repository_declares_no_state(tmp_path: Path) -> None:
    assert "git_state" not in WorkspaceExecutor(Workspace(tmp_path)).environment()
