"""A repository's configuration starts nothing under a git command without approval: tried with the real git."""

import subprocess
from pathlib import Path

import pytest

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import Examination, ToolRequest
from client.workspace.sandbox.boundary import Boundary, NoBoundary
from client.workspace.sandbox.choice import find_boundary
from client.workspace.sandbox.confinement import Confinement
from tests.policy.roster import run


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@b", *words], check=True)


def repository(folder: Path, name: str, content: str) -> Path:
    """Make a repository with one committed file."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / name).write_text(content)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = repository(tmp_path / "work", "a.txt", "one\n")
    git(root, "remote", "add", "origin", "https://host.example/a.git")
    return root


def examine(root: Path, command: str = "git status", boundary: Boundary | None = None) -> Examination:
    executor = WorkspaceExecutor(Workspace(root), Confinement(boundary or NoBoundary()))
    return executor.examine(ToolRequest("execute_command", {"command": command}))


@pytest.mark.parametrize("command", ["git status", "git log --oneline", "git diff", "git --version"])
def test_ordinary_repository_is_read_without_asking(root: Path, command: str) -> None:
    assert examine(root, command).concerns == ()


@pytest.mark.parametrize(
    "key",
    [
        "filter.x.clean",
        "filter.x.process",
        "gpg.program",
        "log.showSignature",
        "diff.x.textconv",
        "diff.x.command",
        "diff.external",
        "core.fsmonitor",
        "core.hooksPath",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.worktree",
        "core.attributesFile",
        "credential.helper",
        "alias.status",
        "include.path",
        "includeIf.gitdir:/.path",
        "merge.x.driver",
        "trailer.x.command",
        "interactive.diffFilter",
        "remote.origin.uploadpack",
        "remote.origin.promisor",
        "submodule.x.update",
        "url.x.insteadOf",
        "pager.status",
        "protocol.ext.allow",
        "status.submoduleSummary",
        "blame.ignoreRevsFile",
        "diff.orderFile",
        "not.known.yet",
    ],
)
def test_key_that_may_start_a_program_asks_where_no_sandbox_holds_it(root: Path, key: str) -> None:
    git(root, "config", "--local", key, "/bin/true")
    concerns = examine(root).concerns
    assert [concern.danger for concern in concerns] == ["high"]
    boundary = find_boundary()
    assert bool(examine(root, boundary=boundary).concerns) is not Confinement(boundary).holds_everything


def test_untrusted_filter_is_asked_about_before_it_runs(root: Path) -> None:
    canary = root.parent / "ran"
    git(root, "config", "filter.x.clean", f"touch {canary}; cat")
    (root / ".gitattributes").write_text("*.txt filter=x\n")
    (root / "a.txt").write_text("two\n")
    assert examine(root, "git diff").concerns
    assert not canary.exists()
    subprocess.run(["git", "-C", str(root), "status"], check=True, capture_output=True)
    assert canary.exists(), "git no longer starts the filter: the test proves nothing"


def test_included_configuration_counts(root: Path) -> None:
    (root / "more").write_text("[gpg]\n\tprogram = x\n")
    with (root / ".git/config").open("a") as file:
        file.write("[include]\n\tpath = ../more\n")
    (concern,) = examine(root).concerns
    assert "include.path" in concern.text
    assert "gpg.program" in concern.text


def test_repository_outside_the_workspace_asks(root: Path, tmp_path: Path) -> None:
    bare, inner, linked, empty = (tmp_path / name for name in ("bare", "work/sub", "linked", "empty"))
    git(tmp_path, "init", "-q", "--bare", str(bare))
    inner.mkdir()
    empty.mkdir()
    git(root, "worktree", "add", "-q", str(linked))
    assert "without a work tree" in examine(bare).concerns[0].text
    assert "folders above" in examine(inner).concerns[0].text
    assert "lies elsewhere" in examine(linked).concerns[0].text
    assert "folders above" in examine(empty, boundary=find_boundary()).concerns[0].text


@pytest.mark.parametrize(
    "command", ["git grep KEY", "git grep KEY HEAD", "git grep KEY -- a.txt conf", "git grep -n KEY conf"]
)
def test_search_of_git_leaves_tracked_secrets_out(root: Path, command: str) -> None:
    for name in (".env", "conf/Prod.ENV", "conf/.env.bak", ".ssh/config", "conf/a.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(f"KEY of {name}\n")
    git(root, "add", "-A", "-f", ".")
    git(root, "commit", "-q", "-m", "secrets")
    verdict = run(command)
    request = ToolRequest("execute_command", {"command": command}, execution=verdict.execution)
    executor = WorkspaceExecutor(Workspace(root), Confinement(find_boundary()))
    outcome = executor.execute(executor.examine(request))
    assert "KEY of conf/a.txt" in outcome.result["stdout"]
    assert outcome.result["stdout"].count("KEY") == 1


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Another repository, outside the workspace."""
    return repository(tmp_path / "other", "private.txt", "private\n")


def commit_of(root: Path) -> str:
    return subprocess.run(
        ["git", "-C", str(root), "rev-parse", "main"], check=True, capture_output=True, text=True
    ).stdout.strip()


def shows(root: Path, revision: str) -> str:
    done = subprocess.run(["git", "-C", str(root), "show", revision], capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.parametrize("way", ["commondir", "alternates", "objects", "objects/pack", "packed-refs", "refs/heads"])
def test_repository_that_takes_parts_of_another_asks(root: Path, elsewhere: Path, way: str) -> None:
    theirs = commit_of(elsewhere)
    git(elsewhere, "pack-refs", "--all")
    git(elsewhere, "repack", "-q", "-a", "-d")
    own = root / ".git"
    assert "private" not in shows(root, theirs)
    if way == "commondir":
        (own / "commondir").write_text(f"{elsewhere}/.git\n")
    elif way == "alternates":
        (own / "objects/info/alternates").write_text(f"{elsewhere}/.git/objects\n")
    else:
        moved = own / way
        if moved.exists():
            moved.rename(root / "kept")
        moved.symlink_to(elsewhere / ".git" / way)
        if way == "packed-refs":
            (own / "refs/heads/main").unlink()
    if way not in {"packed-refs", "refs/heads"}:
        assert "private" in shows(root, theirs), "git does not read there: the test proves nothing"
    for boundary in (NoBoundary(), find_boundary()):
        (concern,) = examine(root, "git log", boundary).concerns
        assert "elsewhere" in concern.text or "further place" in concern.text


def test_configuration_of_a_worktree_and_a_linked_configuration_ask(root: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("[gpg]\n\tprogram = x\n")
    worktree = root / ".git/config.worktree"
    worktree.write_text("[gpg]\n\tprogram = x\n")
    assert "further place" in examine(root).concerns[0].text
    worktree.unlink()
    (root / ".git/config").rename(root / "config")
    (root / ".git/config").symlink_to(tmp_path / "theirs")
    assert ".git/config" in examine(root).concerns[0].text


def test_links_among_hooks_and_submodules_do_not_ask(root: Path) -> None:
    (root / "scripts").mkdir()
    (root / ".git/hooks/pre-commit").symlink_to("../../scripts/pre-commit")
    (root / ".git/modules").symlink_to(root / "scripts")
    assert examine(root, "git log").concerns == ()
