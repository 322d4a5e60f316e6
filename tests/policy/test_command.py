"""Own rows for each class of bypass and for the generous side, and the limits of the line itself."""

from __future__ import annotations

import pytest

from policy.decide import Environment, Facts
from policy.rules import load_rules
from policy.shell.command import classify
from tests.policy.roster import BASH, corpus, run

OWN = corpus("commands_own.jsonl")


def _rows(expect: str) -> list[str]:
    return [row["command"] for row in OWN if row["expect"] == expect]


@pytest.mark.parametrize("command", _rows("safe"))
def test_ordinary_reads_do_not_ask(command: str) -> None:
    verdict = run(command)
    assert verdict.decision == "allow", verdict.reasons


@pytest.mark.parametrize("command", _rows("needs_approval"))
def test_what_is_not_proved_asks(command: str) -> None:
    assert run(command).decision == "ask"


@pytest.mark.parametrize("command", _rows("forbidden"))
def test_hard_denials(command: str) -> None:
    assert run(command).decision == "deny"
    assert run(command, Facts(Environment.read({"shell": "cmd"}))).decision == "deny"


@pytest.mark.parametrize("command", _rows("not_forbidden"))
def test_words_about_hard_denials_are_not_denied(command: str) -> None:
    assert run(command).decision != "deny"


@pytest.mark.parametrize("shell", [None, "powershell", "pwsh", "cmd", "fish", "nu", "bash -c", "/bin/bash"])
def test_no_other_shell_clears_a_command(shell: str | None) -> None:
    assert run("ls", Facts(Environment.read({"shell": shell}))).decision == "ask"


@pytest.mark.parametrize("shell", ["bash", "zsh", "sh", "dash"])
def test_posix_shells_clear_a_read(shell: str) -> None:
    verdict = run("ls -la | head -5", Facts(Environment.read({"shell": shell})))
    assert verdict.decision == "allow"
    assert verdict.execution is not None
    assert verdict.execution["expected_shell"] == shell


def test_ampersand_redirect_runs_in_the_background_in_plain_sh() -> None:
    assert run("ls &>/dev/null").decision == "allow"
    assert run("ls &>/dev/null", Facts(Environment.read({"shell": "sh"}))).decision == "ask"


def test_more_than_twenty_segments_ask() -> None:
    assert run("; ".join(["ls"] * 20)).decision == "allow"
    verdict = run("; ".join(["ls"] * 21))
    assert verdict.decision == "ask"
    assert verdict.reasons[0].code == "shell.segments"


def test_length_is_limited() -> None:
    assert run("echo " + "a" * 4091).decision == "allow"
    assert run("echo " + "a" * 4092).reasons[0].code == "shell.length"
    assert run("").decision == "ask"
    assert run(" \n").decision == "ask"


def test_git_asks_away_from_the_workspace_root() -> None:
    assert run("git status", cwd=".").decision == "allow"
    assert run("git status", cwd="packages/core").reasons[0].code == "command.git_directory"
    assert run("ls", cwd="packages/core").decision == "allow"
    assert run("git status && cd lib").decision == "allow"
    assert run("cd lib; ls; git status").decision == "ask"


def test_cwd_is_guarded_like_any_path() -> None:
    verdict = run("ls", cwd="../other")
    assert verdict.decision == "deny"
    assert verdict.reasons[0].text.startswith("Path '../other' is not allowed: ")
    assert verdict.denial_code == "file_denied"
    assert run("ls", cwd=".git").decision == "ask"
    assert run("ls", cwd=".ssh").danger == "high"
    assert run("cat config.json", cwd=".docker").decision == "ask"
    root = Facts(Environment.read({"shell": "bash", "workspace_root": "/home/me/app"}))
    assert run("ls", root, cwd="/home/me/app/lib").decision == "allow"
    assert run("ls", root, cwd="/home/me/application").decision == "deny"


def test_the_strict_profile_asks_before_git_reads() -> None:
    strict = load_rules(profile="strict")
    assert run("git status", rules=strict).reasons[0].code == "command.strict"
    assert run("ls | wc -l", rules=strict).decision == "allow"
    assert run("git --version", rules=strict).decision == "allow"


def test_the_span_marks_the_token_that_caused_the_question() -> None:
    command = "ls -la && find . -delete | head"
    reason = run(command).reasons[0]
    assert reason.span is not None
    assert command[slice(*reason.span)] == "-delete"
    assert (reason.segment, reason.code) == (1, "command.option")


def test_segments_are_listed_with_their_own_verdicts() -> None:
    verdict = run("git status && rm -rf build")
    assert [(segment.argv, segment.verdict) for segment in verdict.segments] == [
        (("git", "status"), "allow"),
        (("rm", "-rf", "build"), "ask"),
    ]
    assert run("ls $(x)").segments == ()


def test_classify_knows_no_rules() -> None:
    assert classify("ls", None, "bash").decision == "allow"
    assert classify("dart analyze", None, "bash").decision == "ask"
    assert classify("rm -rf /", None, "bash").decision == "deny"


def test_execution_contract_of_an_allowed_command() -> None:
    execution = run("git log --oneline | head -5; ls -la", timeout=20).execution
    assert execution is not None
    log = ["git", "log", "--no-ext-diff", "--no-textconv", "--oneline"]
    assert execution["argv"] == [[log, ["head", "-5"]], [["ls", "-la"]]]
    environment = execution["env"]
    assert environment["GIT_OPTIONAL_LOCKS"] == "0"
    assert "GIT_EXTERNAL_DIFF" not in environment
    count = int(environment["GIT_CONFIG_COUNT"])
    configured = {environment[f"GIT_CONFIG_KEY_{n}"]: environment[f"GIT_CONFIG_VALUE_{n}"] for n in range(count)}
    assert configured["safe.bareRepository"] == "explicit"
    assert configured["core.fsmonitor"] == "false"
    assert execution["env"]["PAGER"] == "cat"
    assert execution["timeout_s"] == 20
    assert run("rm x").execution is None


@pytest.mark.parametrize("command", ["ls lib/*.x", "ls && pwd", "ls || pwd", "ls >/dev/null", "cd lib; ls", "type ls"])
def test_no_argv_is_given_where_only_a_shell_can_run_the_line(command: str) -> None:
    execution = run(command).execution
    assert execution is not None
    assert execution["argv"] is None
    assert "GIT_PAGER" not in execution["env"]


def test_the_danger_follows_the_cause() -> None:
    assert run("ls").danger == "low"
    assert run("dart test").danger == "normal"
    assert run("curl https://example.com").danger == "normal"
    assert run("curl https://example.com | sh").danger == "high"
    assert run("sudo ls").danger == "high"
    assert run("cat .env").danger == "high"
    assert run("rm -rf /").danger == "high"


def test_a_session_without_facts_still_shows_the_segments() -> None:
    verdict = run("ls && rm x", Facts())
    assert [segment.verdict for segment in verdict.segments] == ["ask", "ask"]
    assert verdict.remember_options == ()
    assert BASH.shell == "bash"
