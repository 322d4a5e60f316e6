"""The order of the stages: rights, files, rules, grants, defaults, and the exact words that a model reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from policy.decide import Call, Environment, Facts, Rights, decide
from policy.verdicts.verdict import REASON_CODES, Reason
from tests.policy.roster import AGENTS, BASH, RULES, judge, run, write

GIT_SPELLINGS = [
    ".git/config",
    ".git/hooks/pre-commit",
    ".GIT/config",
    ".Git/HEAD",
    ".git /config",
    ".git./config",
    ".git",
    ".git/",
    "./.git/config",
    "sub/.git/config",
    ".git\\config",
    ".\\.git\\config",
    "a\\.GIT\\config",
    "GIT~1/config",
    "git~1\\config",
    ".git::$INDEX_ALLOCATION/config",
    ".git:x/config",
    ".g\u200bit/config",
    "\u2024git/config",
    "\uff0egit/config",
    ".gi\uff54/config",
    ".git\u200f/config",
    ".git\ufeff/config",
    "lib/../.git/config",
    "/home/me/app/.git/config",
    "/home/me/app/sub/.GIT/x",
]


@pytest.mark.parametrize("agent", ["coder", "universal", "architect"])
@pytest.mark.parametrize("path", GIT_SPELLINGS)
def test_nobody_writes_below_git(agent: str, path: str) -> None:
    facts = Facts(Environment.read({"shell": "bash", "workspace_root": "/home/me/app"}))
    for verdict in (
        write(agent, path, facts),
        judge(agent, "create_directory", {"path": path}, facts),
        write(agent, f"{path}/x.md", facts),
    ):
        assert verdict.decision == "deny", path


@pytest.mark.parametrize(
    "path", [".agent-runtime/rules.toml", ".Agent-Runtime/x.md", "a/.agent-runtime", ".agent-runtime\\x"]
)
def test_nobody_writes_to_the_configuration_of_the_runtime(path: str) -> None:
    for agent in AGENTS:
        assert write(agent, path).decision == "deny"
    assert write("coder", path).path_class == "runtime_config"
    assert judge("coder", "read_file", {"path": path}).decision == "allow"


@pytest.mark.parametrize(
    ("agent", "tool", "arguments", "text", "code"),
    [
        (
            "ask",
            "create_directory",
            {"path": "a"},
            "Tool 'create_directory' is not allowed for Ask agent",
            "tool_denied",
        ),
        ("coder", "create_plan", {}, "Tool 'create_plan' is not allowed for Coder agent", "tool_denied"),
        (
            "orchestrator",
            "write_file",
            {"path": "a", "content": ""},
            "Tool 'write_file' is not allowed for Orchestrator agent",
            "tool_denied",
        ),
        ("coder", "format_disk", {}, "Tool 'format_disk' is not allowed for Coder agent", "tool_denied"),
        (
            "architect",
            "write_file",
            {"path": "lib/a.dart", "content": ""},
            "Architect agent can only create/edit markdown (.md) files. File 'lib/a.dart' is not allowed. "
            "For code changes, please switch to Coder agent.",
            "file_denied",
        ),
        (
            "debug",
            "write_file",
            {"path": "lib/a.dart", "content": ""},
            "Debug agent cannot modify files. Debug agent can only analyze and suggest fixes. "
            "For code changes, please switch to Coder agent.",
            "tool_denied",
        ),
        (
            "ask",
            "write_file",
            {"path": "a.md", "content": ""},
            "Ask agent cannot modify files. Ask agent can only read and explain. "
            "For code changes, please switch to Coder agent.",
            "tool_denied",
        ),
        (
            "ask",
            "execute_command",
            {"command": "rm -rf /"},
            "Ask agent cannot execute commands. For running commands, please switch to Coder or Debug agent.",
            "tool_denied",
        ),
        (
            "coder",
            "write_file",
            {"path": "/etc/x", "content": ""},
            "Path '/etc/x' is not allowed: the path must be relative to the workspace",
            "file_denied",
        ),
        (
            "coder",
            "write_file",
            {"path": ".git/config", "content": ""},
            "Path '.git/config' is not allowed: it is git's own data, from which git runs programs",
            "file_denied",
        ),
        (
            "coder",
            "execute_command",
            {"command": "rm -rf /"},
            "Command is not allowed: it deletes a whole disk, the system or the home directory",
            "tool_denied",
        ),
    ],
)
def test_a_denial_has_the_exact_words_and_code(
    agent: str, tool: str, arguments: Mapping[str, Any], text: str, code: str
) -> None:
    verdict = judge(agent, tool, arguments)
    assert (verdict.decision, verdict.reasons[0].text, verdict.denial_code) == ("deny", text, code)


ARCHITECT_DENIED = [
    "lib/main.dart",
    "docs/page.mdx",
    "plan.md.txt",
    "plan.md/main.dart",
    "docs/plan",
    ".md",
    "docs/.md",
    "plan.md ",
    "plan.md.",
    "plan.md\n",
    "plan.md\r\n",
    "plan.md\u2028",
    "main.dart\0.md",
    "main.dart\ufffd.md",
    "main.dart\n.md",
    "main.dart:notes.md",
    "plan.m\u200bd",
    "plan.\u043cd",
    "plan.\uff4d\uff44",
    "plan\u2024md",
    "plan.md/",
    "plan.md\\",
    "plan.md/.",
    "plan.md::$DATA",
    "plan.dart#.md/../x.dart",
    "plan.MARKDOWN",
    "plan.dart%00.md\0",
]


@pytest.mark.parametrize("path", ARCHITECT_DENIED)
def test_the_architect_writes_only_markdown(path: str) -> None:
    assert write("architect", path).decision == "deny"


@pytest.mark.parametrize(
    "path", ["plan.md", "PLAN.MD", "docs/a.b.md", "docs\\plan.Md", "./plan.md", "план.md", "a%00.md"]
)
def test_the_architect_may_propose_markdown(path: str) -> None:
    verdict = write("architect", path)
    assert [reason.code for reason in verdict.reasons] == ["tool.default"]
    assert verdict.ask_reason == "File modification requires user approval"


def test_an_edit_from_markdown_to_source_is_refused_for_the_architect() -> None:
    assert write("architect", "docs/plan.md").decision == "ask"
    assert write("architect", "lib/main.dart").decision == "deny"


def test_read_only_agents_never_write_whatever_the_path() -> None:
    for agent in ("debug", "ask", "orchestrator"):
        for path in ("a.md", "lib/a.dart", ".env", "../x", ".git/config"):
            assert write(agent, path).denial_code == "tool_denied"
            assert judge(agent, "create_directory", {"path": path}).decision == "deny"


def test_an_agent_without_write_rights_cannot_write_even_with_the_tool() -> None:
    odd = Rights("odd", "Odd", frozenset({"write_file"}), "none")
    verdict = decide(Call("write_file", {"path": "a.md", "content": ""}), odd, Facts(), RULES)
    assert verdict.reasons[0].text == "Tool 'write_file' is not allowed for Odd agent"


@pytest.mark.parametrize("tool", ["read_file", "list_files", "search_in_code"])
def test_ordinary_reads_are_allowed_and_secret_ones_ask(tool: str) -> None:
    extra = {"query": "x"} if tool == "search_in_code" else {}
    assert judge("ask", tool, {"path": "lib/a.dart", **extra}).decision == "allow"
    verdict = judge("ask", tool, {"path": ".ssh/config", **extra})
    assert (verdict.decision, verdict.danger, verdict.path_class) == ("ask", "high", "secrets")
    assert judge("ask", tool, {"path": "../x", **extra}).denial_code == "file_denied"


def test_search_needs_no_path_and_its_patterns_are_guarded() -> None:
    assert judge("ask", "search_in_code", {"query": "x"}).decision == "allow"
    assert judge("ask", "search_in_code", {"query": "x", "file_pattern": "*.dart"}).decision == "allow"
    assert judge("ask", "search_in_code", {"query": "x", "file_pattern": "*"}).decision == "allow"
    assert judge("ask", "search_in_code", {"query": "x", "file_pattern": ".env*"}).decision == "ask"
    assert judge("ask", "search_in_code", {"query": "x", "file_pattern": "*.pem"}).decision == "ask"
    assert judge("ask", "search_in_code", {"query": "x", "file_pattern": "../*"}).decision == "deny"
    assert judge("ask", "list_files", {"path": ".", "pattern": "/etc/*"}).decision == "deny"


def test_protected_files_ask_although_writes_are_granted() -> None:
    plan = {"tool": "write_file", "paths": ["lib/a.dart", ".github/workflows/ci.yml", "AGENTS.md"]}
    facts = Facts(BASH, session_rules=(plan,))
    assert write("coder", "lib/a.dart", facts).decision == "allow"
    assert write("coder", "lib/b.dart", facts).decision == "ask"
    assert write("coder", ".github/workflows/ci.yml", facts).decision == "ask"
    assert write("architect", "AGENTS.md", facts).danger == "high"
    assert write("architect", "lib/a.dart", facts).decision == "deny"


def test_a_workspace_without_git_does_not_become_a_repository_unasked() -> None:
    facts = Facts(Environment.read({"has_git": False}))
    for path in ("HEAD", "config", "objects/a", "refs/heads/main"):
        assert write("coder", path, facts).danger == "high", path
        assert write("coder", path, Facts()).danger == "normal", path
    assert write("coder", "config/app.yaml", facts).danger == "normal"


def test_without_a_human_every_question_is_a_denial_that_says_so() -> None:
    alone = Facts(BASH, human=False)
    assert run("ls", alone).decision == "allow"
    verdict = run("dart test", alone)
    assert verdict.decision == "deny"
    assert "nobody can approve" in verdict.reasons[0].text
    assert verdict.denial_code == "tool_denied"
    assert [segment.verdict for segment in verdict.segments] == ["deny"]
    assert verdict.remember_options == ()
    written = write("coder", "lib/a.dart", alone)
    assert (written.decision, written.denial_code) == ("deny", "file_denied")


@pytest.mark.parametrize(
    "arguments", [{}, {"path": None}, {"path": 3}, {"path": ["a"]}, {"path": {"a": 1}}, {"path": True}]
)
def test_a_path_that_is_no_text_is_denied(arguments: Mapping[str, Any]) -> None:
    assert judge("coder", "write_file", arguments).decision == "deny"
    assert judge("coder", "execute_command", {"command": arguments.get("path")}).decision == "deny"


def test_the_policy_never_raises() -> None:
    class Broken(dict[str, Any]):
        def get(self, *_args: Any) -> Any:
            raise RuntimeError("broken on purpose")

    verdict = judge("coder", "write_file", Broken())
    assert (verdict.decision, verdict.reasons[0].code) == ("ask", "policy.error")
    assert judge("coder", "write_file", Broken(), Facts(human=False)).decision == "deny"


def test_other_tools_follow_their_default() -> None:
    assert judge("universal", "echo", {"text": "x"}).decision == "allow"
    assert judge("coder", "switch_mode", {"mode": "ask"}).decision == "allow"
    assert judge("architect", "create_plan", {}).decision == "allow"
    assert (
        judge("coder", "create_directory", {"path": "lib/x"}).ask_reason == "Directory creation requires user approval"
    )


def test_a_verdict_on_the_wire_has_exactly_the_keys_of_the_protocol() -> None:
    wire = run("git status && rm x").as_wire()
    assert list(wire) == [
        "verdict",
        "danger",
        "reasons",
        "segments",
        "matched",
        "path",
        "path_class",
        "remember_options",
        "policy_version",
        "execution",
    ]
    assert list(wire["reasons"][0]) == ["code", "text", "span", "segment", "rule"]
    assert list(wire["segments"][0]) == ["argv", "verdict"]
    assert wire["policy_version"] == RULES.version


def test_reason_codes_are_a_closed_list() -> None:
    assert Reason("rule.anything", "x").code == "rule.anything"
    with pytest.raises(ValueError, match="not a reason code"):
        Reason("made.up", "x")
    assert "path.secret" in REASON_CODES


@pytest.mark.parametrize(
    "declared", [None, 3, "bash", [], {"shell": 3}, {"shell": "x" * 99}, {"rules": "x"}, {"rules": [1]}]
)
def test_an_odd_environment_counts_as_not_declared(declared: Any) -> None:
    assert Environment.read(declared) == Environment()


def test_a_full_environment_is_read() -> None:
    environment = Environment.read(
        {"os": "Linux", "shell": "Bash", "workspace_root": "/a/B", "has_git": True, "rules": [{"id": "x"}], "other": 1}
    )
    assert environment == Environment("linux", "bash", "/a/B", True, ({"id": "x"},))
