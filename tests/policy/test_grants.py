"""What may be remembered for a session, and that a grant covers no more than it says."""

from __future__ import annotations

import json

import pytest

from policy.decide import Facts
from tests.policy.roster import BASH, corpus, judge, run, write


def _granted(*commands: str) -> Facts:
    rules = []
    for command in commands:
        options = run(command).remember_options
        assert options, command
        rules.append(json.loads(json.dumps(dict(options[0].rule))))
    return Facts(BASH, session_rules=tuple(rules))


@pytest.mark.parametrize(
    ("command", "label"),
    [
        ("dart analyze", "`dart analyze`, in this session"),
        ("dart analyze packages/ui --fatal-infos", "`dart analyze packages/ui --fatal-infos`, in this session"),
        ("flutter test test/unit", "`flutter test`, in this session"),
        ("npm run lint", "`npm run lint`, exactly, in this session"),
        ("npm test", "`npm test`, exactly, in this session"),
        ("pytest -q tests/unit", "`pytest -q`, in this session"),
        ("pytest -k 'a b' tests", "`pytest -k 'a b'`, in this session"),
        ("cargo test --workspace", "`cargo test --workspace`, in this session"),
        ("tsc --noEmit", "`tsc --noEmit`, in this session"),
        ("dart analyze && dart test", "`dart analyze`, `dart test`, in this session"),
        ("dart test | head -5", "`dart test`, in this session"),
        ("mytool check", "`mytool check`, exactly, in this session"),
    ],
)
def test_grants_are_offered_in_tokens_and_words(command: str, label: str) -> None:
    option = run(command).remember_options[0]
    assert option.label == label
    assert option.rule["tool"] == "execute_command"
    assert run(command, Facts(BASH, session_rules=(option.rule,))).decision == "allow"


@pytest.mark.parametrize(
    "command",
    [
        "python x.py",
        "python3 -m pytest",
        "node x.js",
        "bash x.sh",
        "sh -c ls",
        "perl x",
        "ruby x",
        "sudo ls",
        "env ls",
        "timeout 5 ls",
        "xargs ls",
        "npx tsc",
        "uvx ruff",
        "pipx run x",
        "uv run pytest",
        "rm x",
        "mv a b",
        "dd if=a",
        "chmod +x a",
        "git add .",
        "git commit -m x",
        "git push",
        "git fetch",
        "curl x",
        "wget x",
        "ssh h",
        "./gradlew test",
        "bin/x y",
        "git",
        "npm",
        "docker",
        "docker run x",
        "cargo",
        "dart",
        "make",
        "make clean",
        "flutter clean",
        "cargo clean",
        "npm install",
        "npm exec x",
        "yarn add x",
        "pnpm dlx x",
        "flutter pub get",
        "pip install x",
        "mytool",
        "cp .env a",
        "mytool .env",
        "mytool ../x",
        "mytool /etc/x",
        "mytool ~/x",
        "dart test > x",
        "dart test $(x)",
        "X=1 dart test",
        "dart test &",
        "eval x",
        "source x",
        "find . -delete",
        "sort -o a b",
        "printenv",
        "sed -i s/a/b/ x",
        "dart test && rm x",
        "dart test; git push",
        "cargo install x",
        "mytool delete a",
        "mytool a* b",
        "dart test 2>/dev/null",
    ],
)
def test_nothing_is_offered_for_what_cannot_be_granted(command: str) -> None:
    verdict = run(command.strip())
    assert verdict.decision == "ask"
    assert verdict.remember_options == ()


def test_nothing_is_offered_without_a_question() -> None:
    assert run("ls").remember_options == ()
    assert run("rm -rf /").remember_options == ()
    assert run("dart test", cwd=".ssh").remember_options == ()


def test_a_grant_covers_further_paths_and_safe_options_only() -> None:
    facts = _granted("dart analyze")
    for command in ("dart analyze", "dart analyze lib test", "dart analyze --fatal-infos lib", "ls; dart analyze lib"):
        assert run(command, facts).decision == "allow", command
    for command in (
        "dart",
        "dart run x",
        "dart test",
        "dart analyze --enable-experiment=x",
        "dart analyze --packages=../x",
        "dart analyze ../x",
        "dart analyze /etc",
        "dart analyze .env",
        "dart analyze && dart run x",
        "dart analyze > x",
        "dart analyze 2>/dev/null",
        "dart analyze $(x)",
        "dart analyze *",
        "X=1 dart analyze",
        "sudo dart analyze",
        "dart 'analyze' --x",
        "./dart analyze",
        "dart analyze --fatal",
    ):
        assert run(command, facts).decision == "ask", command


def test_a_grant_of_an_unknown_program_is_word_for_word() -> None:
    facts = _granted("mytool check lib")
    assert run("mytool check lib", facts).decision == "allow"
    assert run("mytool check lib test", facts).decision == "ask"
    assert run("mytool check", facts).decision == "ask"


def test_every_segment_needs_its_own_grant() -> None:
    assert run("dart analyze && dart test", _granted("dart analyze")).decision == "ask"
    assert run("dart analyze && dart test", _granted("dart analyze", "dart test")).decision == "allow"
    verdict = run("dart analyze && dart test", _granted("dart analyze"))
    assert [segment.verdict for segment in verdict.segments] == ["allow", "ask"]


def test_a_grant_needs_a_declared_shell() -> None:
    facts = _granted("dart analyze")
    assert run("dart analyze", Facts(session_rules=facts.session_rules)).decision == "ask"


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"tool": "execute_command"},
        {"tool": "execute_command", "commands": "dart"},
        {"tool": "execute_command", "commands": [3, None, {}]},
        {"tool": "execute_command", "commands": [{"prefix": []}]},
        {"tool": "execute_command", "commands": [{"prefix": "rm"}]},
        {"tool": "execute_command", "commands": [{"prefix": ["rm"], "options": [], "operands": True}]},
        {"tool": "execute_command", "commands": [{"prefix": ["python3"], "options": ["-c=TEXT"], "operands": True}]},
        {"tool": "execute_command", "commands": [{"prefix": ["sudo"], "operands": True}]},
        {"tool": "execute_command", "commands": [{"prefix": ["git", "push"], "operands": True}]},
        {"tool": "write_file", "paths": 3},
    ],
)
def test_a_forged_or_broken_session_rule_grants_nothing(rule: dict[str, object]) -> None:
    facts = Facts(BASH, session_rules=(rule,))
    for row in corpus("commands_dev.jsonl"):
        if row["expect"] != "safe":
            assert run(row["command"], facts).decision != "allow", row["command"]
    assert run("sudo rm x", facts).decision == "ask"
    assert run("python3 -c x", facts).decision == "ask"


def test_a_grant_is_never_wider_than_what_was_approved() -> None:
    facts = _granted("tsc --noEmit")
    assert run("tsc --noEmit src", facts).decision == "allow"
    assert run("tsc --noEmit --strict", facts).decision == "allow"
    for command in ("tsc", "tsc src", "tsc --strict --noEmit", "tsc --noEmit false", "tsc --noEmit --outDir x"):
        assert run(command, facts).decision == "ask", command
    facts = _granted("pytest -m 'not slow' tests")
    assert run("pytest -m 'not slow' tests/unit", facts).decision == "allow"
    assert run("pytest -m slow tests", facts).decision == "ask"
    assert run("pytest tests", facts).decision == "ask"


@pytest.mark.parametrize(
    "command",
    [
        "pytest @args.txt",
        "mypy @args",
        "ruff check @x",
        "tsc @x",
        "pytest -- x",
        "cargo test -- --nocapture",
        "mytool --config=@x",
    ],
)
def test_response_files_and_words_after_the_end_of_options_are_never_granted(command: str) -> None:
    assert run(command).remember_options == ()
    program = command.split(" ")
    name = " ".join(program[: 2 if program[1] in {"check", "test"} else 1])
    rule = {"tool": "execute_command", "commands": [{"prefix": name.split(), "options": [], "operands": True}]}
    assert run(command, Facts(BASH, session_rules=(rule,))).decision == "ask"
    exact = {"tool": "execute_command", "commands": [{"prefix": program, "options": [], "operands": False}]}
    assert run(command, Facts(BASH, session_rules=(exact,))).decision == "ask"


def test_the_exact_command_is_a_choice_of_its_own() -> None:
    wider, exact = run("pytest -q tests/unit").remember_options
    assert exact.label == "`pytest -q tests/unit`, exactly, in this session"
    assert wider.id != exact.id
    facts = Facts(BASH, session_rules=(exact.rule,))
    assert run("pytest -q tests/unit", facts).decision == "allow"
    assert run("pytest -q tests/other", facts).decision == "ask"
    assert run("pytest -q tests/unit -x", facts).decision == "ask"


def test_writes_below_one_folder_can_be_granted() -> None:
    (option,) = write("coder", "lib/src/a.dart").remember_options
    assert (option.label, option.rule) == (
        "write_file below `lib/src`, in this session",
        {"tool": "write_file", "below": "lib/src"},
    )
    facts = Facts(BASH, session_rules=(option.rule,))
    for path in ("lib/src/a.dart", "lib/src/b.dart", "lib/src/deep/c.dart"):
        assert write("coder", path, facts).decision == "allow", path
    for path in ("lib/a.dart", "lib/srcs/a.dart", "lib/src.dart", "lib/src/.env", "lib/src/.vscode/x.json"):
        assert write("coder", path, facts).decision == "ask", path
    for path in ("lib/src/../../x", "lib/src/.git/config"):
        assert write("coder", path, facts).decision == "deny", path
    assert write("architect", "lib/src/a.dart", facts).decision == "deny"
    assert judge("coder", "create_directory", {"path": "lib/src/new"}, facts).decision == "ask"


@pytest.mark.parametrize("path", ["a.dart", "lib/.env", ".github/workflows/x.yml", "lib/../../x"])
def test_no_folder_is_offered_for_the_root_or_a_protected_file(path: str) -> None:
    assert write("coder", path).remember_options == ()


@pytest.mark.parametrize("folder", ["", ".", "/", "./", 3, None, ["lib"]])
def test_a_forged_folder_grants_nothing(folder: object) -> None:
    rule = {"tool": "write_file", "below": folder}
    assert write("coder", "lib/a.dart", Facts(BASH, session_rules=(rule,))).decision == "ask"
