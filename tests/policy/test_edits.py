"""An edit is judged like a write of the same path: by the same guard, rules and grants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policy.decide import Environment, Facts
from policy.verdicts.verdict import Verdict
from tests.policy.roster import BASH, corpus, judge, write


def edit(agent: str, path: str, facts: Facts | None = None) -> Verdict:
    return judge(agent, "edit_file", {"path": path, "old": "a", "new": "b"}, facts)


PATHS = (
    *("lib/a.py", "a.md", "lib/src/order.g.dart", ".env", ".git/config", ".agent-runtime/x", "../a", "", "/etc/passwd"),
    *("docs/readme.MD", "id_rsa", ".github/workflows/ci.yml", "a\0.md", "C:\\x", "a/../../b"),
)


@pytest.mark.parametrize("agent", ["coder", "architect", "debug", "ask", "universal"])
@pytest.mark.parametrize("path", PATHS)
def test_edit_gets_the_verdict_of_a_write(agent: str, path: str) -> None:
    edited, written = edit(agent, path), write(agent, path)
    told = tuple(replace(reason, text=reason.text.replace("edit_file", "write_file")) for reason in edited.reasons)
    assert replace(edited, reasons=told) == written


@pytest.mark.parametrize("named", ["write_file", "edit_file"])
def test_project_rule_restricts_an_edit(named: str) -> None:
    wish: dict[str, Any] = {"tool": named, "path": ["docs/**"], "decision": "deny"}
    facts = Facts(replace(BASH, rules=(wish,)))
    assert edit("coder", "docs/a.md", facts).decision == "deny"
    assert (write("coder", "docs/a.md", facts).decision == "deny") is (named == "write_file")
    assert edit("coder", "lib/a.md", facts).decision == "ask"


def test_grant_of_a_folder_covers_both() -> None:
    option = edit("coder", "lib/src/a.py").remember_options[0]
    assert option == write("coder", "lib/src/a.py").remember_options[0]
    facts = Facts(BASH, session_rules=(option.rule,))
    assert edit("coder", "lib/src/b.py", facts).decision == "allow"
    assert write("coder", "lib/src/b.py", facts).decision == "allow"
    assert edit("coder", "lib/b.py", facts).decision == "ask"
    assert edit("coder", "lib/src/.env", facts).decision == "ask"


def test_declared_tools_are_read_with_care() -> None:
    assert Environment.read({"tools": ["edit_file", 5, None]}).tools == {"edit_file"}
    for wrong in ("edit_file", 5, None, {"edit_file": True}):
        assert Environment.read({"tools": wrong}).tools == frozenset()


def test_corpus_of_paths_knows_no_difference() -> None:
    rows = [row for row in corpus("paths_dev.jsonl") if "path" in row]
    assert rows
    for row in rows:
        assert edit("coder", row["path"]).decision == write("coder", row["path"]).decision, row
