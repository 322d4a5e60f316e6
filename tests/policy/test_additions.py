"""What the execution contract adds to a command so that it stays a plain read."""

from __future__ import annotations

import fnmatch

import pytest

from policy.shell.additions import secret_globs
from tests.policy.roster import run

SECRETS: tuple[str, ...] = (
    ".env",
    ".ENV",
    "prod.env",
    ".envrc",
    "server.pem",
    "Server.PEM",
    "id_rsa",
    ".id_rsa.swp",
    ".env.bak",
    "x.key~",
)
SECRETS += (
    "x.key~",
    ".ssh",
    ".git",
    ".kube",
    ".npmrc",
    "terraform.tfstate",
    ".#.env",
    "#.env#",
    "id_ed25519.pub",
    ".pgpass",
)
ORDINARY = ("main.py", "README.md", "environment.ts", "keyboard.dart", "package.json", ".gitignore", "Makefile")


def _argv(command: str) -> list[str]:
    execution = run(command).execution
    assert execution is not None, command
    pipelines: list[list[list[str]]] = execution["argv"]
    return pipelines[0][0]


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_is_among_the_names_that_a_search_leaves_out(name: str) -> None:
    assert any(fnmatch.fnmatchcase(name, glob) for glob in secret_globs())


@pytest.mark.parametrize("name", ORDINARY)
def test_no_ordinary_name_is_left_out(name: str) -> None:
    assert [glob for glob in secret_globs() if fnmatch.fnmatchcase(name, glob)] == []


@pytest.mark.parametrize(
    "command", ["grep -rn foo .", "grep --recursive foo src -i", "grep -r foo src 2>/dev/null | head"]
)
def test_a_recursive_search_leaves_secrets_out_last(command: str) -> None:
    argv = _argv(command)
    assert "--exclude=.[eE][nN][vV]" in argv
    assert "--exclude-dir=.[sS][sS][hH]" in argv
    assert argv[-1].startswith("--exclude-dir=")


def test_additions_stand_before_the_end_of_options() -> None:
    argv = _argv("grep -r foo -- src")
    assert argv[-2:] == ["--", "src"]
    assert argv.index("--exclude=.[eE][nN][vV]") < argv.index("--")
    assert "--iglob=!.[eE][nN][vV]" in _argv("rg foo -- src")
    assert _argv("git diff HEAD -- lib")[:4] == ["git", "diff", "--no-ext-diff", "--no-textconv"]
    assert _argv("git --no-pager log -1")[:4] == ["git", "--no-pager", "log", "--no-ext-diff"]


def test_a_recursive_search_follows_no_links() -> None:
    assert _argv("grep -nRi foo src")[:3] == ["grep", "-nri", "foo"]
    assert _argv("grep --dereference-recursive foo src")[1] == "--recursive"
    assert _argv("grep -r -e R src")[1:4] == ["-r", "-e", "R"]
    assert "--no-dereference" in _argv("diff -r lib src")


@pytest.mark.parametrize(
    "command",
    [
        "git diff && ls",
        "git log -p > /dev/null",
        "git show HEAD; git blame a 2>&1 | sort",
        "grep -r foo . && ls",
        "rg foo || ls",
        "diff -r lib src && ls",
        "git diff src/*.py",
    ],
)
def test_what_needs_its_additions_asks_where_only_a_shell_can_run_the_line(command: str) -> None:
    assert run(command).decision == "ask"


@pytest.mark.parametrize(
    "command", ["git log --oneline && ls", "git diff --stat && ls", "git status && ls", "grep a b && ls"]
)
def test_what_needs_none_runs_in_a_shell_too(command: str) -> None:
    execution = run(command).execution
    assert execution is not None
    assert execution["argv"] is None


def test_no_plain_command_gets_additions() -> None:
    for command in ("ls -la", "cat a", "grep foo a", "git ls-files", "wc -l a"):
        assert _argv(command) == command.split()
