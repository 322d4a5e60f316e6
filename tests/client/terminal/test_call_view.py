"""What a person sees before a decision and after a call."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from client.terminal.call_view import call_line, call_panel, outcome_lines
from client.workspace.executor import ToolOutcome
from client.workspace.folder import Workspace
from wire.protocol import ToolCall


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def plain(rendered: RenderableType) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(rendered)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def call(tool: str, arguments: dict[str, object], **metadata: object) -> ToolCall:
    return ToolCall(call_id="c1", tool_name=tool, arguments=arguments, requires_approval=True, metadata=metadata)


def test_command_is_whole_and_escaped_with_parts_reasons_and_danger(workspace: Workspace) -> None:
    command = "git status; rm -rf x \u202e# hidden" + " " * 3000 + "&& tail"
    chunk = call(
        "execute_command",
        {"command": command, "cwd": "sub"},
        danger="high",
        segments=[{"argv": ["git", "status"], "verdict": "allow"}, {"argv": ["rm", "-rf", "x"], "verdict": "ask"}],
        reasons=[{"code": "command.change", "text": "rm deletes", "span": [12, 14], "segment": 1, "rule": None}],
    )
    text = plain(call_panel(chunk, dict(chunk.arguments), workspace))
    assert "danger high" in text
    assert "\\u202e" in text
    assert "\u202e" not in text
    assert "&& tail" in text
    assert "✓ git status" in text
    assert "? rm -rf x" in text
    assert "why: rm deletes (part 2)" in text
    assert 'cwd: "sub"' in text


def test_write_shows_its_diff(workspace: Workspace) -> None:
    chunk = call("write_file", {"path": "a.txt", "content": "hello\n"})
    text = plain(call_panel(chunk, dict(chunk.arguments), workspace))
    assert "a.txt  new file, 1 line" in text
    assert "+hello" in text


def test_other_calls_show_their_arguments(workspace: Workspace) -> None:
    chunk = call("create_directory", {"path": "x\x1b"})
    assert 'path: "x\\u001b"' in plain(call_panel(chunk, dict(chunk.arguments), workspace))


def test_call_without_explanation_is_shown(workspace: Workspace) -> None:
    chunk = ToolCall(call_id="c", tool_name="execute_command", arguments={"command": "ls"})
    assert "$ ls" in plain(call_panel(chunk, {"command": "ls"}, workspace))


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("read_file", {"path": "a", "start_line": 2}, "● read_file a lines 2-"),
        ("search_in_code", {"query": "x"}, "● search_in_code x"),
        ("execute_command", {"command": "ls"}, "● execute_command ls"),
    ],
)
def test_call_is_summed_up(tool: str, arguments: dict[str, object], expected: str) -> None:
    assert call_line(tool, arguments).plain == expected


@pytest.mark.parametrize(
    ("tool", "outcome", "part"),
    [
        ("read_file", ToolOutcome(error="gone"), "✗ gone"),
        ("read_file", ToolOutcome({"lines_read": 3}), "✓ 3 lines"),
        ("write_file", ToolOutcome({"bytes_written": 3, "backup_path": "b/a.bak"}), "3 bytes written, the old version"),
        ("create_directory", ToolOutcome({"created": False}), "existed already"),
        (
            "search_in_code",
            ToolOutcome({"total_matches": 1, "matches": [{"path": "a", "line": 2, "text": "x"}]}),
            "a:2: x",
        ),
        ("execute_command", ToolOutcome({"success": False, "exit_code": 3, "stderr": "bad"}), "exit code 3"),
        ("execute_command", ToolOutcome({"success": True, "exit_code": 0, "stdout": "l\n" * 20}), "more characters"),
        ("execute_command", ToolOutcome({"success": False, "error": "stopped after 1 s"}), "stopped after 1 s"),
        ("unknown", ToolOutcome("text"), "done"),
    ],
)
def test_outcome_is_compact(tool: str, outcome: ToolOutcome, part: str) -> None:
    assert part in plain(outcome_lines(tool, outcome))
