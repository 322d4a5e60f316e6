"""Every update as JSON: a file per case in `golden/`; `python -m tests.client.editor.test_updates` writes them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, get_args

import pytest
from acp.schema import SessionNotification, UsageUpdate

from client.editor.agents import AgentChoice
from client.editor.calls import CallPicture, block, code, title_of
from client.editor.commands import available_commands
from client.editor.replay import replay
from client.editor.updates import Transcript, Update
from client.editor.view import answer_schema
from client.workspace.executor import ToolOutcome
from client.workspace.folder import Workspace
from tests.client.runtime_double import as_read, calls, chunk, delta, says, status

GOLDEN = Path(__file__).with_name("golden")
AGENTS = [
    {"type": "orchestrator", "name": "Orchestrator Agent", "description": "Chooses an agent."},
    {"type": "coder", "name": "Coder Agent", "description": "Writes code."},
]
PLAN: dict[str, Any] = {
    "title": "Login",
    "subtasks": [
        {"id": "a", "description": "Write the form", "agent": "coder", "status": "pending"},
        {"id": "b", "description": "Explain it", "agent": "ask", "status": "pending"},
    ],
}
HISTORY: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Look at a.py"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "function": {"name": "read_file", "arguments": '{"path": "a.py"}'}},
                {"id": "c2", "function": {"name": "ask_followup_question", "arguments": '{"question": "And now?"}'}},
            ],
        },
        {"role": "tool", "content": "Error: There is no file 'a.py'.", "tool_call_id": "c1"},
        {"role": "tool", "content": "{}", "tool_call_id": "c2"},
        {"role": "assistant", "content": "It is gone."},
    ]
}


def transcript(**more: Any) -> Transcript:
    numbers = count(1)
    return Transcript(AgentChoice(AGENTS, "orchestrator"), new_id=lambda: f"m{next(numbers)}", **more)


def of_chunks(*chunks: dict[str, Any]) -> list[Update]:
    open_transcript = transcript()
    return [update for raw in chunks for update in open_transcript.updates(as_read(raw))]


def picture(root: Path, tool: str, *, asks: bool = True, **arguments: Any) -> CallPicture:
    return CallPicture(as_read(calls("c1", tool, asks=asks, **arguments)), arguments, Workspace(root))


def every_case(root: Path) -> Iterator[tuple[str, list[Any]]]:
    """The cases by the name of their file; `root` is the workspace."""
    (root / "a.py").write_text("old = 1\nrest\n", encoding="utf-8")
    write = picture(root, "write_file", path="a.py", content="new = 1\u202e\nrest\n")
    command = picture(root, "execute_command", command="make `all`")
    yield "agent_message_chunk", of_chunks(delta("Hel"), delta("lo"), says("Hello"), says("Another", suggestions=None))
    yield "agent_message_chunk_lost_deltas", of_chunks(delta("Hel"), says("Good day", metadata={"partial": True}))
    yield "agent_message_chunk_suggestions", of_chunks(says("Which?", metadata={"suggestions": ["red", "blue"]}))
    yield "agent_message_chunk_error", of_chunks(chunk("error", error="It broke.", metadata={"code": "internal"}))
    yield "agent_thought_chunk", of_chunks(status("c1", "denied", reasons=[{"text": "it deletes"}]))
    yield "agent_switched", of_chunks(chunk("agent_switched", content="x", metadata={"to_agent": "coder"}))
    yield (
        "plan",
        of_chunks(
            chunk("plan_approval_required", approval_request_id="p", plan_id="1", plan_summary=PLAN, metadata={}),
            chunk("status", content="x", metadata={"subtask_id": "a"}),
            chunk("subtask_completed", content="x", metadata={"subtask_id": "a"}),
            chunk("execution_completed", content="The plan is done.", metadata={}),
        ),
    )
    yield "tool_call_read", [picture(root, "read_file", path="a.py", start_line=2).started("in_progress")]
    yield "tool_call_search", [picture(root, "search_in_code", path=".", query="x`y").started("in_progress")]
    yield "tool_call_edit", [write.started("pending")]
    yield "tool_call_edit_file", [picture(root, "edit_file", path="a.py", old="old", new="new").started("pending")]
    (root / ".env").write_text("KEY=secret\n", encoding="utf-8")
    yield "tool_call_secret", [picture(root, "write_file", path=".env", content="KEY=new\n").started("pending")]
    yield "tool_call_execute", [command.started("pending")]
    yield "tool_call_update_approved", of_chunks(status("c1", "approved"))
    yield "tool_call_update_written", [write.ended(ToolOutcome({"success": True, "bytes_written": 9}))]
    yield "tool_call_update_refused", [write.ended(ToolOutcome(error="The file changed."))]
    ran = {"success": False, "exit_code": 2, "stdout": "one\n", "stderr": "two\x1b[2J\n"}
    yield "tool_call_update_ran", [command.ended(ToolOutcome(ran))]
    yield "permission_request", [write.asked()]
    yield "available_commands_update", [available_commands()]
    yield "usage_update", [UsageUpdate(session_update="usage_update", used=812, size=128_000)]
    yield "elicitation_schema", [answer_schema(["red", "blue"]), answer_schema([])]
    yield "replay", list(replay(HISTORY, Workspace(root), transcript()))


def dumped(updates: list[Any], root: Path) -> str:
    wire = [update.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True) for update in updates]
    return json.dumps(wire, indent=2, ensure_ascii=False).replace(str(root), "/workspace") + "\n"


@pytest.mark.parametrize("name", [name for name, _ in every_case(Path(tempfile.mkdtemp()))])
def test_update_is_as_kept(name: str, tmp_path: Path) -> None:
    cases = dict(every_case(tmp_path))
    assert dumped(cases[name], tmp_path.resolve()) == (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


def test_every_kind_of_update_has_a_case_and_every_file_too(tmp_path: Path) -> None:
    cases = dict(every_case(tmp_path))
    sent = {type(update) for updates in cases.values() for update in updates}
    assert set(get_args(Update)) <= sent
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(cases)


def test_updates_are_valid_for_a_client(tmp_path: Path) -> None:
    for updates in dict(every_case(tmp_path)).values():
        for update in updates:
            if hasattr(update, "session_update"):
                raw = update.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
                SessionNotification.model_validate({"sessionId": "s", "update": raw})


def test_suggestions_are_left_to_the_form(tmp_path: Path) -> None:
    asked = transcript(lists_suggestions=False).updates(as_read(says("Which?", metadata={"suggestions": ["red"]})))
    assert [update.content.text for update in asked] == ["Which?"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "quoted"), [("ls", "`ls`"), ("a `b` c", "`` a `b` c ``"), ("`", "`` ` ``"), (" ", "`   `")]
)
def test_code_is_quoted_whatever_backticks_it_holds(text: str, quoted: str) -> None:
    assert code(text) == quoted


def test_block_cannot_be_ended_from_inside_and_says_what_is_cut() -> None:
    assert block("```\nx") == "````\n```\nx\n````"
    assert block("y" * 20_001).endswith("\n… 1 more characters")


@pytest.mark.parametrize("command", ["a\nrm -rf b", "echo " + "x" * 300 + "; rm -rf b"])
def test_command_that_does_not_fit_into_the_title_is_shown_whole(command: str, tmp_path: Path) -> None:
    assert "\n" not in title_of("execute_command", {"command": command})
    (part,) = picture(tmp_path, "execute_command", command=command).content
    assert command in part.content.text


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for case, found in every_case(Path(folder).resolve()):
            (GOLDEN / f"{case}.json").write_text(dumped(found, Path(folder).resolve()), encoding="utf-8")
