"""`.agent-runtime/rules.toml`: a project denies and asks, and permits nothing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.project.rules import MAX_BYTES, ProjectRules
from client.workspace.request import ToolRequest
from policy.decide import Environment, Facts
from policy.verdicts.facts import MAX_PROJECT_RULES
from tests.client.test_cli import agent_runtime
from tests.policy.roster import judge

ROW = """
[[rule]]
id = "{id}"
tool = "{tool}"
{subject}
decision = "{decision}"
why = "{why}"
match = [{match}]
not_match = [{other}]
"""


def rule(decision: str, tool: str, match: str, *, identity: str = "r", why: str = "The project says so.") -> str:
    is_command = tool == "execute_command"
    subject = f"command = {json.dumps(match.split())}" if is_command else f'path = ["{match}"]'
    kind = "command" if is_command else "path"
    example, other = f'{{ {kind} = "{match}" }}', f'{{ {kind} = "other" }}'
    return ROW.format(id=identity, tool=tool, subject=subject, decision=decision, why=why, match=example, other=other)


def workspace_with(root: Path, text: str) -> Workspace:
    (root / ".agent-runtime").mkdir()
    (root / ".agent-runtime/rules.toml").write_text(text)
    return Workspace(root)


def verdict_under(rules: ProjectRules, tool: str, **arguments: Any) -> str:
    declared = {"shell": "bash", "workspace_root": "/w", "has_git": True, "rules": list(rules.declared)}
    facts = Facts(environment=Environment.read(declared))
    return judge("coder", tool, arguments, facts).decision


def test_project_denies_and_asks_through_the_terminal_client_and_permits_nothing(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    for name in ("plain.txt", "private.txt"):
        (root / name).write_text(f"text of {name}\n")
    (root / "Makefile").write_text("all:\n\ttouch made\n")
    workspace_with(
        root,
        "version = 1\n"
        + rule("deny", "write_file", "frozen.txt", identity="frozen", why="Frozen by the project.")
        + rule("ask", "read_file", "private.txt", identity="private")
        + rule("deny", "execute_command", "git log", identity="history", why="No history here.")
        + rule("allow", "execute_command", "make all", identity="build"),
    )
    script = [
        {"tool": "read_file", "args": {"path": "plain.txt"}},
        {"tool": "read_file", "args": {"path": "private.txt"}},
        {"tool": "write_file", "args": {"path": "frozen.txt", "content": "x"}},
        {"tool": "execute_command", "args": {"command": "git log"}},
        {"tool": "execute_command", "args": {"command": "make all"}},
        {"text": "Finished."},
    ]
    arguments = ("chat", "-w", str(root), "--agent", "coder", "--approve", "none", "--json")
    finished = agent_runtime(*arguments, "--message", "#script\n" + json.dumps(script))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    results = [line["result"] for line in lines if line["kind"] == "result"]
    assert [result["content"] for result in results] == ["text of plain.txt\n"]
    rejected = [line["call_id"] for line in lines if line["kind"] == "rejected"]
    calls = [line["chunk"] for line in lines if line["kind"] == "chunk" and line["chunk"]["type"] == "tool_call"]
    asked = [call["arguments"] for call in calls if call["call_id"] in rejected]
    assert asked == [{"path": "private.txt"}, {"command": "make all"}]
    assert "rule 'build' permits something and does not count" in " ".join(finished.stderr.split())
    assert not (root / "made").exists()
    assert not (root / "frozen.txt").exists()


def test_policy_check_reads_the_project_rules_as_a_chat_does(tmp_path: Path) -> None:
    restricting = rule("deny", "execute_command", "ls", identity="listing", why="No listing here.")
    workspace_with(tmp_path, "version = 1\n" + restricting + rule("allow", "execute_command", "make all"))

    def checked(command: str, *more: str, cwd: Path = tmp_path) -> str:
        finished = agent_runtime("policy", "check", "execute_command", json.dumps({"command": command}), *more, cwd=cwd)
        assert "rule 'r' permits something and does not count" in " ".join(finished.stderr.split())
        return finished.stdout

    assert checked("ls").startswith("deny")
    assert "No listing here." in checked("ls", "--workspace", str(tmp_path), cwd=Path("/"))
    assert checked("make all").startswith("ask")
    missing = agent_runtime("policy", "check", "read_file", "{}", "-w", str(tmp_path / "none"))
    assert (missing.returncode, "There is no folder" in missing.stderr) == (2, True)


@pytest.mark.parametrize("tool", ["write_file", "execute_command"])
def test_rule_that_permits_is_left_out_with_a_note(tmp_path: Path, tool: str) -> None:
    text = "version = 1\n" + rule("allow", tool, "rm", identity="wide") + rule("deny", tool, "no", identity="narrow")
    rules = ProjectRules.read(workspace_with(tmp_path, text))
    assert [rule["id"] for rule in rules.declared] == ["narrow"]
    assert "rule 'wide' permits something" in rules.notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "version = ",
        "version = 2\n",
        "rule = 1\n",
        "version = 1\nother = 1\n",
        "version = 1\n" + rule("never", "write_file", "a"),
        "version = 1\n" + rule("deny", "unknown_tool", "a"),
        "version = 1\n" + rule("deny", "write_file", "a") + rule("deny", "write_file", "[a"),
        "version = 1\n" + rule("deny", "write_file", "other"),
        "version = 1\n"
        + "".join(rule("deny", "write_file", "a", identity=f"r{n}") for n in range(MAX_PROJECT_RULES + 1)),
        "a = " + "[" * 30_000,
        "#" * (MAX_BYTES + 1),
        "version = 1\n# \x00\n",
    ],
)
def test_file_that_cannot_be_used_is_one_sentence_and_every_call_asks(tmp_path: Path, text: str) -> None:
    rules = ProjectRules.read(workspace_with(tmp_path, text))
    (note,) = rules.notes
    assert ".agent-runtime/rules.toml" in note
    assert "\n" not in note
    assert verdict_under(rules, "read_file", path="a.txt") == "ask"
    assert verdict_under(rules, "execute_command", command="ls") == "ask"
    assert verdict_under(ProjectRules(), "read_file", path="a.txt") == "allow"


def test_file_is_not_read_through_links_and_pipes(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "rules.toml").write_text("version = 1\n# a secret = 1\n")
    linked_folder, linked_file, pipe, text = (tmp_path / name for name in ("one", "two", "three", "four"))
    for root in (linked_folder, linked_file, pipe, text):
        root.mkdir()
    (linked_folder / ".agent-runtime").symlink_to(outside)
    for root in (linked_file, pipe):
        (root / ".agent-runtime").mkdir()
    (linked_file / ".agent-runtime/rules.toml").symlink_to(outside / "rules.toml")
    os.mkfifo(pipe / ".agent-runtime/rules.toml")
    (text / ".agent-runtime").write_text("no folder")
    for root in (linked_folder, linked_file, pipe, text):
        rules = ProjectRules.read(Workspace(root))
        assert len(rules.notes) == 1, root
        assert "secret" not in rules.notes[0]
        assert verdict_under(rules, "read_file", path="a.txt") == "ask"


def test_project_without_a_file_has_no_rules(tmp_path: Path) -> None:
    assert ProjectRules.read(Workspace(tmp_path)) == ProjectRules()


def test_rule_holds_for_the_name_behind_a_link(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path, "version = 1\n" + rule("deny", "read_file", "private.txt"))
    (tmp_path / "private.txt").write_text("x")
    (tmp_path / "open.txt").symlink_to("private.txt")
    executor = WorkspaceExecutor(workspace, rules=ProjectRules.read(workspace))
    examined = executor.examine(ToolRequest("read_file", {"path": "open.txt"}, agent="coder"))
    assert "The project says so" in str(examined.refusal)
