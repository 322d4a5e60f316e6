"""What agents and developers type to read a repository: few of these lines ask."""

from __future__ import annotations

from policy.decide import Environment, Facts
from tests.policy.roster import corpus, run

LEAST_ROWS = 344
MOST_ASKED = 0.08
FACTS = Facts(Environment.read({"shell": "bash", "workspace_root": "/home/me/app", "has_git": True}))


def test_few_everyday_reads_ask() -> None:
    rows = [row["command"] for row in corpus("everyday_reads.jsonl")]
    assert len(set(rows)) >= LEAST_ROWS
    asked = [row for row in rows if run(row, FACTS).decision != "allow"]
    assert len(asked) <= MOST_ASKED * len(rows), asked


def test_what_always_asks_asks_in_everyday_form() -> None:
    for command in (
        "git -C packages/core status",
        "cd lib && git status",
        "ls *.py",
        "find . -name '*.py' | xargs wc -l",
    ):
        assert run(command, FACTS).decision == "ask", command


def test_absolute_paths_are_read_below_the_declared_root_only() -> None:
    for command in ("cat /home/me/app/README.md", "cd /home/me/app/lib && ls", "git log -- /home/me/app/lib"):
        assert run(command, FACTS).decision == "allow", command
        assert run(command).decision == "ask", command
    for command in (
        "cat /home/me/application/README.md",
        "cat /home/me/app/../x",
        "cat /home/me/app/.env",
        "cat /home/me/app//etc/passwd",
        "cd /home/me/app && cat .env",
        "cd lib && cat /home/me/app/.ssh/id",
    ):
        assert run(command, FACTS).decision == "ask", command


def test_git_asks_where_the_workspace_is_no_repository() -> None:
    facts = Facts(Environment.read({"shell": "bash", "has_git": False}))
    assert run("git status", facts).reasons[0].code == "command.git_directory"
    assert run("git --version", facts).decision == "allow"


def test_signs_that_only_one_program_understands_ask_elsewhere() -> None:
    for command in ("ls \\( a \\)", "echo !", "ls = a", "cat @{u}", "git log @{a,b}", "git log @{a..b}", "ls {a}"):
        assert run(command).decision == "ask", command


def test_the_words_that_zsh_expands_ask() -> None:
    zsh = Facts(Environment.read({"shell": "zsh"}))
    for command in ("echo =ls", "ls =git", "[ a == b ]", "ls *(.)", "ls lib/*(e:x:)", "ls ~/x", "cat **/x", "ls <1-9>"):
        assert run(command, zsh).decision == "ask", command
    assert run("[ a = b ]", zsh).decision == "allow"


def test_a_comment_is_proved_only_at_the_end() -> None:
    assert run("ls # what's here").decision == "allow"
    assert run("ls # a\nrm x").decision == "ask"
    assert run("# only a comment").decision == "ask"
