"""The stream on the screen."""

from collections import Counter
from io import StringIO
from pathlib import Path

from rich.console import Console

from client.terminal.display import Display, summary_panel
from client.view import TaskSummary
from client.workspace.folder import Workspace
from tests.client.runtime_double import Chunk_, as_read, chunk, delta, says, status


def screen(*chunks: Chunk_) -> str:
    console = Console(file=StringIO(), width=100)
    display = Display(console, Workspace(Path()))
    for raw in chunks:
        display.show(as_read(raw))
    display.reply_ended()
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_deltas_and_their_full_text_are_shown_once() -> None:
    assert screen(delta("Hel"), delta("lo"), says("Hello")) == "Hello\n"


def test_rest_of_a_message_whose_end_came_at_once_is_added() -> None:
    assert screen(delta("Hel"), says("Hello")) == "Hello\n"


def test_full_text_is_shown_again_when_deltas_were_lost() -> None:
    assert screen(delta("Hel"), delta("world"), says("Hello world")) == "Helworld\n… the whole answer:\nHello world\n"


def test_new_line_of_another_chunk_begins_below_the_text() -> None:
    assert screen(delta("Hel"), chunk("error", error="Broken.")) == "Hel\n✗ Broken.\n"


def test_question_lists_its_suggestions() -> None:
    assert screen(says("Which?", metadata={"suggestions": ["a", "b"]})) == "Which?\n  1. a\n  2. b\n"


def test_partial_message_is_marked() -> None:
    assert screen(says("Hal", metadata={"partial": True})) == "Hal\n(cut off here)\n"


def test_switch_and_notes() -> None:
    switch = chunk("agent_switched", content="x", metadata={"from_agent": "a", "to_agent": "b", "reason": "because"})
    assert screen(switch) == "◆ a → b  because\n"
    denied = status("c1", "denied", reasons=[{"text": "not allowed"}])
    assert screen(denied) == "· denied\n  why: not allowed\n"
    assert screen(status("c1", "approved"), status("c1", "result_recorded")) == ""
    assert screen(chunk("status", content="Retrying", metadata={"status": "retrying"})) == "· Retrying\n"
    assert screen(
        chunk("status", content="Form", metadata={"subtask_id": "s", "agent": "coder", "progress": "1/2"})
    ) == ("▸ Form  coder\n")


def test_unknown_chunk_shows_its_text_or_nothing() -> None:
    assert screen(chunk("news", content="Something"), chunk("weather")) == "Something\n"


def test_plan_is_a_table_with_dependencies_by_number() -> None:
    summary = {
        "title": "Login",
        "subtasks": [
            {"id": "x1", "description": "Model", "agent": "coder", "estimated_time": "5 min", "dependencies": []},
            {"id": "x2", "description": "Form", "agent": "debug", "estimated_time": "6 min", "dependencies": ["x1"]},
        ],
        "total_estimated_time": "11 min",
    }
    text = screen(
        chunk("plan_created", content="not repeated", plan_id="p", metadata={}),
        chunk(
            "plan_approval_required",
            content="?",
            approval_request_id="plan-approval-p",
            plan_id="p",
            plan_summary=summary,
            metadata={},
        ),
    )
    assert "☰ Login" in text
    assert "not repeated" not in text
    form = next(line for line in text.splitlines() if "Form" in line)
    assert [cell.strip() for cell in form.strip("│").split("│")] == ["2", "Form", "debug", "6 min", "1"]
    assert "in all 11 min" in text


def test_plan_progress_and_ends() -> None:
    finished = {"status": "completed"}
    text = screen(
        chunk("subtask_completed", content="Subtask 1 completed", plan_id="p", metadata=finished),
        chunk("execution_completed", content="Plan execution failed", plan_id="p", metadata={"status": "failed"}),
        chunk("plan_rejected", plan_id="p", metadata={}),
        chunk("plan_modification_requested", plan_id="p", metadata={}),
    )
    assert text.splitlines() == [
        "✓ subtask completed",
        "✗ Plan execution failed",
        "The plan was dropped.",
        "The architect is revising the plan.",
    ]


def test_end_names_outcome_files_and_cost() -> None:
    console = Console(file=StringIO(), width=60)
    summary = TaskSummary("completed", ["a.txt"], 1, Counter({"llm_calls": 2, "total_tokens": 30}), 1.26)
    console.print(summary_panel(summary, "s1"))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    for part in (
        "Done",
        "files changed: a.txt",
        "rejected: 1 tool call",
        "2 model calls, 30 tokens, 1.3 s",
        "session s1",
    ):
        assert part in text
