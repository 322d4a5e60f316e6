"""Rules prove themselves at load, restrict more than they grant, and a project's rules only restrict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from errors import ConfigurationError
from policy.decide import Environment, Facts
from policy.rules import Rules, load_rules
from tests.policy.roster import BASH, RULES, corpus, judge, run, write

ANALYZE = """
[[rule]]
id = "dart-analyze"
tool = "execute_command"
command = [["dart", "flutter"], "analyze"]
decision = "allow"
why = "The team trusts its analyzer plugins."
match = [{ command = "dart analyze packages/ui" }, { command = "flutter analyze" }]
not_match = [{ command = "dart analyze && dart run tool/seed.dart" }, { command = "dart" }]
"""


def _rule(**changes: str) -> str:
    fields = {
        "id": '"r"',
        "tool": '"write_file"',
        "path": '["docs/**"]',
        "decision": '"deny"',
        "why": '"Because."',
        "match": '[{ path = "docs/a.md" }]',
        "not_match": '[{ path = "lib/a.md" }]',
    } | changes
    return "[[rule]]\n" + "\n".join(f"{name} = {value}" for name, value in fields.items() if value)


def _load(folder: Path, *rules: str, head: str = "version = 1\n") -> Rules:
    file = folder / "own.toml"
    file.write_text(head + "\n".join(rules), encoding="utf-8")
    return load_rules(file)


def _command_rule(command: str, example: str, decision: str = '"allow"') -> str:
    return _rule(
        tool='"execute_command"',
        path="",
        command=command,
        decision=decision,
        match=f"[{{ command = '{example}' }}]",
        not_match='[{ command = "other thing" }]',
    )


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ([_rule(match='[{ path = "lib/a.md" }]')], ["'r'", "lib/a.md", "does not match"]),
        ([_rule(not_match='[{ path = "docs/x/y.md" }]')], ["'r'", "docs/x/y.md", "matches"]),
        ([_rule(colour='"red"')], ["'r'", "colour"]),
        ([_rule(), _rule()], ["'r'", "twice"]),
        ([_rule(id='"generated-code"')], ["'generated-code'", "twice"]),
        ([_rule(tool='"delete_file"')], ["'r'", "delete_file"]),
        ([_rule(tool='"echo"')], ["'r'", "echo", "path"]),
        ([_rule(path='["a/**b"]')], ["'r'", "a/**b"]),
        ([_rule(path='["../a"]')], ["'r'", "../a"]),
        ([_rule(path='["/a"]')], ["'r'", "/a"]),
        ([_rule(path='["{a,b}"]')], ["'r'", "{a,b}"]),
        ([_rule(path="[]")], ["'r'", "path"]),
        ([_rule(match="[]")], ["'r'", "match"]),
        ([_rule(not_match="")], ["'r'", "not_match"]),
        ([_rule(why='""')], ["'r'", "why"]),
        ([_rule(decision='"maybe"')], ["'r'", "decision"]),
        ([_rule(id="")], ["number 1", "id"]),
        ([_rule(match='[{ path = "../x" }]')], ["'r'", "../x"]),
        ([_rule(match='[{ command = "ls" }]')], ["'r'", "ls"]),
        ([_rule(match='[{ file = "ls" }]')], ["'r'", "file"]),
        ([_rule(command='["ls"]')], ["'r'", "execute_command"]),
        (
            [_rule(tool='"execute_command"', path="", decision='"allow"', match='[{ command = "ls" }]')],
            ["'r'", "every command"],
        ),
        ([_command_rule('["rm"]', "rm x")], ["'r'", "rm"]),
        ([_command_rule('["bash"]', "bash x")], ["'r'", "bash"]),
        ([_command_rule('["python3"]', "python3 x.py")], ["'r'", "python3"]),
        ([_command_rule('["sudo", "ls"]', "sudo ls")], ["'r'", "sudo"]),
        ([_command_rule('["npx"]', "npx x")], ["'r'", "npx"]),
        ([_command_rule('["git"]', "git fetch")], ["'r'", "git"]),
        ([_command_rule('["git", "log"]', "git log --stdin")], ["'r'", "git log"]),
        ([_command_rule('["find"]', "find . -ls")], ["'r'", "find"]),
        ([_command_rule('["sort"]', "sort x")], ["'r'", "sort"]),
        ([_command_rule('["curl"]', "curl x")], ["'r'", "curl"]),
        ([_command_rule('[""]', "x")], ["'r'", "command"]),
    ],
)
def test_a_rule_that_does_not_prove_itself_stops_the_start(tmp_path: Path, rules: list[str], names: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, *rules)
    for name in names:
        assert name in caught.value.message, caught.value.message


def test_a_rule_about_a_whole_tool_needs_no_examples(tmp_path: Path) -> None:
    rules = _load(tmp_path, _rule(tool='"read_file"', path="", decision='"ask"', match="", not_match=""))
    assert judge("coder", "read_file", {"path": "a"}, rules=rules).decision == "ask"
    assert judge("coder", "list_files", {"path": "a"}, rules=rules).decision == "allow"


@pytest.mark.parametrize("tool", ["echo", "calculator", "switch_mode", "attempt_completion"])
def test_a_question_about_a_tool_of_the_runtime_is_a_denial(tmp_path: Path, tool: str) -> None:
    rules = _load(tmp_path, _rule(tool=f'"{tool}"', path="", decision='"ask"', match="", not_match=""))
    verdict = judge("universal", tool, {}, rules=rules)
    assert verdict.decision == "deny"
    assert verdict.reasons[0].code == "human.absent"
    assert "nobody is asked about a tool that the runtime carries out (Because.)" in verdict.reasons[0].text


@pytest.mark.parametrize("text", ["version = 2", "nonsense", "", "version = 1\nextra = 1", 'version = 1\nrule = "x"'])
def test_a_file_of_the_wrong_form_stops_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"own\.toml"):
        _load(tmp_path, head=text)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        load_rules(Path("/nowhere/rules.toml"))


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    rules = _load(tmp_path, ANALYZE)
    verdict = run("dart analyze packages/ui", rules=rules)
    assert verdict.decision == "allow"
    assert [match.id for match in verdict.matched] == ["dart-analyze"]
    assert run("dart analyze | head -5 && flutter analyze", rules=rules).decision == "allow"
    for command in (
        "dart analyze && dart run tool/seed.dart",
        "dart analyze > report.txt",
        "dart analyze $(x)",
        "dart analyze ../other",
        "dart analyze .env",
        "X=1 dart analyze",
        "dart  run",
        "dart",
    ):
        assert run(command, rules=rules).decision == "ask", command
    assert run("dart analyze", Facts(), rules).decision == "ask"


def test_no_allow_rule_makes_another_unsafe_row_run(tmp_path: Path) -> None:
    rules = _load(tmp_path, ANALYZE)
    meant = {"dart analyze", "flutter analyze"}
    for row in corpus("commands_dev.jsonl"):
        if row["expect"] != "safe" and row["command"] not in meant:
            assert run(row["command"], rules=rules).decision != "allow", row["command"]


def test_the_strictest_restriction_wins_over_any_grant(tmp_path: Path) -> None:
    allow = _rule(id='"may"', decision='"allow"')
    deny = _rule(id='"not-here"', path='["docs/internal/**"]', match='[{ path = "docs/internal/a.md" }]')
    ask = _rule(id='"look"', path='["**/CHANGELOG.md"]', decision='"ask"', match='[{ path = "docs/CHANGELOG.md" }]')
    rules = _load(tmp_path, allow, deny, ask)
    assert write("coder", "docs/a.txt", rules=rules).decision == "allow"
    denied = write("coder", "docs/internal/a.md", rules=rules)
    assert denied.decision == "deny"
    assert denied.reasons[0].text == "Path 'docs/internal/a.md' is not allowed: Because."
    assert (denied.reasons[0].code, denied.reasons[0].rule, denied.denial_code) == (
        "rule.not-here",
        "not-here",
        "file_denied",
    )
    assert [match.id for match in denied.matched] == ["may", "not-here"]
    assert write("coder", "docs/CHANGELOG.md", rules=rules).decision == "ask"
    assert write("coder", "docs/.env", rules=rules).decision == "ask"
    assert write("coder", "docs/.git/x", rules=rules).decision == "deny"
    assert write("ask", "docs/a.txt", rules=rules).decision == "deny"


def test_a_rule_may_restrict_what_the_built_in_list_allows(tmp_path: Path) -> None:
    rules = _load(tmp_path, _command_rule('["git", "log"]', "git log -1", '"deny"'))
    verdict = run("ls && git log", rules=rules)
    assert (verdict.decision, verdict.denial_code) == ("deny", "tool_denied")
    assert verdict.reasons[0].text == "Command is not allowed: Because."
    assert [segment.verdict for segment in verdict.segments] == ["allow", "deny"]


def test_the_shipped_rule_protects_generated_code() -> None:
    verdict = write("coder", "lib/src/order.g.dart")
    assert verdict.decision == "deny"
    assert verdict.reasons[0].code == "rule.generated-code"
    assert write("coder", "lib/src/order.dart").decision == "ask"


def test_the_version_follows_rules_file_and_profile(tmp_path: Path) -> None:
    versions = {RULES.version, load_rules(profile="strict").version, _load(tmp_path, ANALYZE).version}
    assert len(versions) == 3
    assert load_rules().version == RULES.version
    assert len(RULES.version) == 12


@pytest.mark.parametrize("command", ["ls", "ls $(x)", "ls > a", "ls && rm x", "\u202e"])
def test_a_rule_about_every_command_holds_for_any_line(command: str) -> None:
    facts = _with_project_rules({"tool": "execute_command", "decision": "deny", "why": "Read the files instead."})
    verdict = run(command, facts)
    assert (verdict.decision, verdict.denial_code) == ("deny", "tool_denied")
    assert verdict.reasons[0].text == "Command is not allowed: Read the files instead."


def _with_project_rules(*rules: Any) -> Facts:
    return Facts(Environment.read({"shell": "bash", "rules": list(rules)}))


def test_a_project_can_only_restrict() -> None:
    deny = {"tool": "write_file", "path": ["legacy/**"], "decision": "deny", "why": "Frozen."}
    assert write("coder", "legacy/a.txt", _with_project_rules(deny)).decision == "deny"
    ask = {"tool": "execute_command", "command": ["cat"], "decision": "ask"}
    assert run("cat a", _with_project_rules(ask)).decision == "ask"
    for decision in ("allow", "ALLOW", None, 1):
        allow = {"tool": "execute_command", "command": ["dart", "test"], "decision": decision}
        assert run("dart test", _with_project_rules(allow)).decision == "ask"
        assert run("ls", _with_project_rules(allow)).decision == "allow"


def test_malformed_project_rules_are_ignored_with_a_reason() -> None:
    written: list[dict[str, Any]] = [
        {},
        {"tool": "nope", "decision": "deny"},
        {"tool": "write_file", "path": ["../x"], "decision": "deny"},
        {"tool": "write_file", "path": "x", "decision": "deny"},
        {"tool": "write_file", "path": ["a" * 500], "decision": "deny"},
        {"tool": "write_file", "decision": "allow"},
        {"tool": "write_file", "decision": "deny", "why": "x" * 1000},
        {"id": 3, "tool": "write_file", "decision": "deny"},
    ]
    rules = RULES.with_project(written)
    assert rules.rules == RULES.rules
    assert len(rules.ignored) == len(written)
    assert rules.ignored[1].startswith("rule 2 of the project is ignored: ")
    assert judge("coder", "read_file", {"path": "a"}, _with_project_rules(*written)).decision == "allow"


def test_the_number_of_project_rules_is_capped() -> None:
    rule = {"tool": "read_file", "decision": "ask"}
    assert len(Environment.read({"rules": [rule] * 500}).rules) == 50


def test_a_session_rule_never_lifts_a_restriction_of_a_rule(tmp_path: Path) -> None:
    rules = _load(tmp_path, _command_rule('["dart", "test"]', "dart test", '"ask"'))
    option = run("dart test").remember_options[0]
    granted = Facts(BASH, session_rules=(option.rule,))
    assert run("dart test", granted).decision == "allow"
    assert run("dart test", granted, rules).decision == "ask"


def test_the_rule_that_the_protocol_page_shows_restricts() -> None:
    golden = Path(__file__).parent.parent / "golden" / "message_user_message.json"
    environment = Environment.read(json.loads(golden.read_text(encoding="utf-8"))["environment"])
    assert write("coder", "docs/index.md", Facts(environment)).decision == "deny"
    assert write("coder", "lib/a.dart", Facts(environment)).decision == "ask"
