"""One task against a scripted runtime: pauses, decisions, results, ends."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import pytest
from rich.console import Console

from client.decider import ApproveAll, Decider, RejectAll
from client.question import Question
from client.session import Session
from client.terminal.display import Display
from client.time_limit import TimeLimit
from client.turn_loop import TurnLoop
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.sandbox.boundary import Boundary, Kind, NoBoundary, Reach
from client.workspace.sandbox.confinement import Confinement
from tests.client.runtime_double import (
    KEY,
    Chunk_,
    Refuse,
    Reply,
    RuntimeDouble,
    calls,
    chunk,
    delta,
    done,
    runtime,
    says,
    status,
)
from wire.protocol import Chunk, HitlDecision

PLAN = {
    "approval_request_id": "plan-approval-p",
    "plan_id": "p",
    "plan_summary": {"title": "T", "subtasks": []},
    "metadata": {},
}


@dataclass
class Talk:
    loop: TurnLoop
    double: RuntimeDouble
    output: StringIO

    def message(self, number: int) -> dict[str, Any]:
        return self.double.messages[number]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("one\n")
    return tmp_path


@contextmanager
def talk(
    root: Path, decider: Decider, *replies: Reply, seconds: float = 20, boundary: Boundary | None = None
) -> Iterator[Talk]:
    output = StringIO()
    with runtime(*replies) as double, closing(Session(double.url, KEY, TimeLimit(seconds))) as session:
        workspace = Workspace(root)
        display = Display(Console(file=output, width=100), workspace)
        yield Talk(
            TurnLoop(session, decider, display, WorkspaceExecutor(workspace, Confinement(boundary or NoBoundary()))),
            double,
            output,
        )


def test_environment_goes_out_again_when_it_has_changed(root: Path) -> None:
    with talk(root, ApproveAll(), *([says("Hi"), done()] for _ in range(3))) as t:
        t.loop.run_task("one")
        (root / "AGENTS.md").write_text("use tabs")
        t.loop.run_task("two")
        t.loop.run_task("three")
        assert t.message(1)["environment"]["instructions"] == [{"path": "AGENTS.md", "text": "use tabs"}]
        assert "environment" not in t.message(2)


def test_environment_goes_out_with_the_first_message_only(root: Path) -> None:
    with talk(root, ApproveAll(), [says("Hi"), done()], [says("Ho"), done()]) as t:
        assert t.loop.run_task("hello", agent="ask") == "completed"
        assert t.loop.run_task("again") == "completed"
        assert t.message(0)["agent_type"] == "ask"
        assert t.message(0)["environment"]["workspace_root"] == str(root)
        assert t.message(1) == {"type": "user_message", "content": "again"}


def test_allowed_call_is_run_and_answered(root: Path) -> None:
    replies: list[Reply] = [[calls("c1", "read_file", path="a.txt"), done("awaiting_tool")], [says("ok"), done()]]
    with talk(root, RejectAll(), *replies) as t:
        assert t.loop.run_task("read") == "completed"
        assert t.message(1) == {
            "type": "tool_result",
            "call_id": "c1",
            "result": {
                "success": True,
                "content": "one\n",
                "lines_read": 1,
                "sha256": "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806",
            },
        }


def test_failing_call_is_answered_with_an_error(root: Path) -> None:
    replies: list[Reply] = [[calls("c1", "read_file", path="../x"), done("awaiting_tool")], [says("ok"), done()]]
    with talk(root, ApproveAll(), *replies) as t:
        t.loop.run_task("read")
        expected = {"type": "tool_result", "call_id": "c1", "error": "Path '../x' leads out of the workspace."}
        assert t.message(1) == expected


def test_approve_all_decides_runs_and_reports(root: Path) -> None:
    ask = calls("c1", "write_file", asks=True, path="b.txt", content="two\n")
    replies: list[Reply] = [
        [ask, done("awaiting_approval", total_tokens=5)],
        [status("c1", "approved"), done("awaiting_tool")],
        [says("written"), done(total_tokens=7)],
    ]
    with talk(root, ApproveAll(), *replies) as t:
        assert t.loop.run_task("write") == "completed"
        decision = {"type": "hitl_decision", "call_id": "c1", "decision": "approve", "digest": "digest-c1"}
        executor = t.message(1)["executor"]
        assert t.message(1) == decision | {"executor": executor}
        assert (root / "b.txt").read_text() == "two\n"
        for part in ("+two", "files changed: b.txt", "12 tokens"):
            assert part in t.output.getvalue()


def test_approve_all_rejects_what_is_dangerous(root: Path) -> None:
    ask = calls("c1", "execute_command", asks=True, command="rm a.txt")
    ask["metadata"]["danger"] = "high"
    replies: list[Reply] = [[ask, done("awaiting_approval")], [status("c1", "rejected"), says("I stop."), done()]]
    with talk(root, ApproveAll(), *replies) as t:
        assert t.loop.run_task("delete") == "completed"
        assert t.message(1)["decision"] == "reject"
        assert "dangerous" in t.message(1)["feedback"]
        assert (root / "a.txt").exists()
        assert len(t.double.messages) == 2


def test_approve_none_rejects_calls_and_plans_and_leaves_questions_open(root: Path) -> None:
    ask = calls("c1", "write_file", asks=True, path="b.txt", content="")
    replies: list[Reply] = [
        [ask, done("awaiting_approval")],
        [status("c1", "rejected"), chunk("plan_approval_required", **PLAN), done("awaiting_plan")],
        [chunk("plan_rejected", plan_id="p", metadata={}), done()],
        [says("Which?", metadata={"suggestions": ["a", "b"]}), done("awaiting_answer")],
    ]
    with talk(root, RejectAll(), *replies) as t:
        assert t.loop.run_task("write") == "completed"
        assert t.message(1)["decision"] == "reject"
        expected = {"type": "plan_decision", "approval_request_id": "plan-approval-p", "decision": "reject"}
        assert t.message(2) == expected | {"executor": t.message(1)["executor"]}
        assert not (root / "b.txt").exists()
        assert t.loop.run_task("and now?") == "awaiting_answer"


def test_approve_all_approves_plans_and_takes_first_suggestions_a_few_times(root: Path) -> None:
    question: Reply = [says("Which?", metadata={"suggestions": ["first", "second"]}), done("awaiting_answer")]
    plan: Reply = [chunk("plan_approval_required", **PLAN), done("awaiting_plan")]
    with talk(root, ApproveAll(), plan, *[question] * 6) as t:
        assert t.loop.run_task("plan") == "awaiting_answer"
        assert t.message(1)["decision"] == "approve"
        assert [message["content"] for message in t.double.messages[2:]] == ["first"] * 5


def test_approve_all_grants_no_more_budget(root: Path) -> None:
    about = {"suggestions": ["yes", "no"], "budgets": [{"setting": "budget_tokens_per_turn"}]}
    with talk(root, ApproveAll(), [says("Go on?", metadata=about), done("awaiting_answer")]) as t:
        assert t.loop.run_task("work") == "awaiting_answer"
        assert len(t.double.messages) == 1


def test_several_calls_of_one_reply_are_settled_one_after_the_other(root: Path) -> None:
    replies: list[Reply] = [
        [
            calls("c1", "read_file", path="a.txt"),
            calls("c2", "create_directory", asks=True, path="d"),
            done("awaiting_approval"),
        ],
        [status("c1", "result_recorded", open_calls=["c2"]), done("awaiting_approval")],
        [status("c2", "approved"), done("awaiting_tool")],
        [says("both"), done()],
    ]
    with talk(root, ApproveAll(), *replies) as t:
        assert t.loop.run_task("both") == "completed"
        kinds = [(message["type"], message.get("call_id")) for message in t.double.messages[1:]]
        assert kinds == [("tool_result", "c1"), ("hitl_decision", "c2"), ("tool_result", "c2")]


def test_error_chunk_fails_the_task(root: Path) -> None:
    error = chunk(
        "error", error="The model is gone.", content="The model is gone.", metadata={"code": "llm_unavailable"}
    )
    with talk(root, ApproveAll(), [error, done("failed")], [error, done("completed")]) as t:
        assert t.loop.run_task("x") == "failed"
        assert t.loop.run_task("x") == "failed"
        assert "✗ The model is gone." in t.output.getvalue()


def settled_elsewhere(*logged: Chunk_) -> Refuse:
    return Refuse(409, {"detail": "Decided before.", "code": "call_settled"}, logged=logged)


def test_answer_is_shown_when_another_client_rejected_the_call(root: Path) -> None:
    ask = calls("c1", "write_file", asks=True, path="b.txt", content="")
    elsewhere = settled_elsewhere(status("c1", "rejected"), says("Then not."), done())
    with talk(root, ApproveAll(), [ask, done("awaiting_approval")], elsewhere) as t:
        assert t.loop.run_task("x") == "completed"
        assert "Decided before." in t.output.getvalue()
        assert "Then not." in t.output.getvalue()
        assert not (root / "b.txt").exists()


def test_call_runs_once_with_the_arguments_that_another_client_approved(root: Path) -> None:
    ask = calls("c1", "write_file", asks=True, path="b.txt", content="original")
    edited = {"path": "b.txt", "content": "edited"}
    approved = [status("c1", "approved_with_edits", arguments=edited), done("awaiting_tool")]
    replies: list[Reply] = [[ask, done("awaiting_approval")], settled_elsewhere(*approved), approved]
    with talk(root, RejectAll(), *replies, [says("ok"), done()]) as t:
        assert t.loop.run_task("x") == "completed"
        assert (root / "b.txt").read_text() == "edited"
        sent = [(message["type"], message.get("decision")) for message in t.double.messages]
        repeated = ("hitl_decision", "edit")
        assert sent == [("user_message", None), ("hitl_decision", "reject"), repeated, ("tool_result", None)]


@pytest.mark.parametrize(
    "after",
    [
        [status("c1", "result_recorded"), done("awaiting_approval")],
        [says("It has run."), done()],
        [calls("c2", "read_file", path="a.txt"), done("awaiting_tool")],
    ],
)
def test_call_that_has_run_elsewhere_does_not_run_again(root: Path, after: list[Chunk_]) -> None:
    ask = calls("c1", "write_file", asks=True, path="b.txt", content="")
    elsewhere = settled_elsewhere(status("c1", "approved"), done("awaiting_tool"), *after)
    with talk(root, RejectAll(), [ask, done("awaiting_approval")], elsewhere, [says("ok"), done()]) as t:
        t.loop.run_task("x")
        assert not (root / "b.txt").exists()


def test_other_calls_of_a_round_that_is_over_are_not_asked(root: Path) -> None:
    asks = [calls(name, "create_directory", asks=True, path=name) for name in ("c1", "c2")]
    with talk(root, ApproveAll(), [*asks, done("awaiting_approval")], settled_elsewhere(says("New."), done())) as t:
        assert t.loop.run_task("x") == "completed"
        assert [message.get("call_id") for message in t.double.messages] == [None, "c1"]


def test_error_chunk_of_a_settled_call_is_read_on_like_a_refusal(root: Path) -> None:
    ask = calls("c1", "write_file", asks=True, path="b.txt", content="")
    told = chunk("error", error="Decided before.", metadata={"code": "call_settled", "call_id": "c1"})
    late: Reply = [told, done("awaiting_tool")]
    with talk(root, ApproveAll(), [ask, done("awaiting_approval")], late) as t:
        t.loop.run_task("x")
        assert not (root / "b.txt").exists()
        assert t.double.stream_requests


def test_cancel_from_another_thread_ends_the_command_and_the_task(root: Path) -> None:
    call = calls("c1", "execute_command", command="echo started > started; sleep 100")
    late: Reply = [status("c1", "already_settled"), done("cancelled")]
    with talk(root, ApproveAll(), [call, done("awaiting_tool")], late) as t, ThreadPoolExecutor(1) as pool:
        running = pool.submit(t.loop.run_task, "x")
        deadline = time.monotonic() + 10
        while not (root / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        t.loop.cancel()
        assert running.result(20) == "cancelled"
        assert t.double.cancels == 1


def test_time_limit_cancels_the_run(root: Path) -> None:
    with talk(root, ApproveAll(), [delta("Thinking"), "hang"], seconds=0.5) as t:
        assert t.loop.run_task("x") == "cancelled"
        assert t.double.cancels == 1
        assert "longer than 0.5 seconds" in t.output.getvalue()
        assert "The run was cancelled." in t.output.getvalue()


def test_interrupt_cancels_the_run_and_shows_its_end(root: Path) -> None:
    class InterruptedPerson(ApproveAll):
        def decide_call(self, call: Chunk, question: Question) -> NoReturn:  # noqa: ARG002 nobody is asked
            raise KeyboardInterrupt(call.call_id)

    ask = calls("c1", "write_file", asks=True, path="b.txt", content="")
    with talk(root, InterruptedPerson(), [ask, done("awaiting_approval")], [says("next"), done()]) as t:
        assert t.loop.run_task("x") == "cancelled"
        assert t.double.cancels == 1
        assert not (root / "b.txt").exists()
        assert t.loop.run_task("y") == "completed"


def test_edited_arguments_of_the_status_are_what_runs(root: Path) -> None:
    class Editor(ApproveAll):
        def decide_call(self, call: Chunk, question: Question) -> HitlDecision:
            edited = {"path": "b.txt", "content": "edited"}
            decision = super().decide_call(call, question)
            return decision.model_copy(update={"decision": "edit", "modified_arguments": edited})

    ask = calls("c1", "write_file", asks=True, path="b.txt", content="original")
    invalid = chunk("error", error="No.", content="No.", metadata={"code": "decision_invalid"})
    replies: list[Reply] = [
        [ask, done("awaiting_approval")],
        [invalid, done("awaiting_approval")],
        [
            status("c1", "approved_with_edits", arguments={"path": "b.txt", "content": "edited"}),
            done("awaiting_tool"),
        ],
        [says("ok"), done()],
    ]
    with talk(root, Editor(), *replies) as t:
        assert t.loop.run_task("x") == "completed"
        assert (root / "b.txt").read_text() == "edited"
        assert [message["type"] for message in t.double.messages[1:3]] == ["hitl_decision"] * 2


def test_agent_can_be_switched(root: Path) -> None:
    switch = chunk("agent_switched", content="x", metadata={"from_agent": "coder", "to_agent": "ask", "reason": "r"})
    with talk(root, ApproveAll(), [switch, done()]) as t:
        t.loop.switch_agent("ask")
        assert t.message(0) == {"type": "switch_agent", "agent_type": "ask", "content": ""}


def test_cleared_call_that_a_link_leads_to_a_secret_is_asked_here(root: Path) -> None:
    (root / ".env").write_text("KEY=secret\n")
    (root / "docs.md").symlink_to(".env")
    replies: list[Reply] = [[calls("c1", "read_file", path="docs.md"), done("awaiting_tool")], [says("ok"), done()]]
    for decider in (RejectAll(), ApproveAll()):
        with talk(root, decider, *replies) as t:
            assert t.loop.run_task("read") == "completed"
            assert t.message(1)["error"].startswith("The client did not run this call without approval: 'docs.md'")
            for part in ("danger high", "'docs.md' is a link and names '.env'", "rejected"):
                assert part in t.output.getvalue()


def test_link_makes_a_call_that_asks_too_dangerous_to_approve_unseen(root: Path) -> None:
    (root / ".env").write_text("KEY=secret\n")
    (root / "docs.md").symlink_to(".env")
    ask = calls("c1", "write_file", asks=True, path="docs.md", content="x")
    replies: list[Reply] = [[ask, done("awaiting_approval")], [status("c1", "rejected"), says("I stop."), done()]]
    with talk(root, ApproveAll(), *replies) as t:
        t.loop.run_task("write")
        assert t.message(1)["decision"] == "reject"
        assert (root / ".env").read_text() == "KEY=secret\n"


def test_write_that_presumes_too_much_is_refused_before_a_person_is_asked(root: Path) -> None:
    ask = calls("c1", "write_file", asks=True, path="a.txt", content="x")
    ask["metadata"]["precondition"] = {"must_not_exist": True}
    with talk(root, NobodyDecides(), [ask, done("awaiting_approval")], [says("I read it."), done()]) as t:
        t.loop.run_task("write")
        error = "The file exists and was not read in this session: read it first."
        assert t.message(1) == {"type": "tool_result", "call_id": "c1", "error": error}


def test_refusal_of_a_call_that_only_a_decision_closes_is_its_rejection(root: Path) -> None:
    ask = calls("c1", "write_file", asks=True, path="../a.txt", content="x")
    replies: list[Reply] = [
        [ask, done("awaiting_approval")],
        Refuse(409, {"detail": "This call needs a decision first.", "code": "approval_required"}),
        [status("c1", "rejected"), says("I stop."), done()],
    ]
    with talk(root, NobodyDecides(), *replies) as t:
        assert t.loop.run_task("write") == "completed"
        assert t.message(2)["decision"] == "reject"
        assert t.message(2)["feedback"] == "Path '../a.txt' leads out of the workspace."


class RefusesToWrite:
    """A boundary that lets nothing write: it says so as the operating system does."""

    kind: Kind = "bubblewrap"
    holds_network = True

    def wrapped(self, argv: Sequence[str], folder: Path, reach: Reach) -> list[str]:  # noqa: ARG002 never started
        return ["sh", "-c", "echo 'touch: Read-only file system' >&2; exit 1"]


class LetsOut(RejectAll):
    """Lets a call run when the client asks."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def confirm(self, call: Chunk, sentence: str, question: Question) -> bool:  # noqa: ARG002 the same for every call
        self.sentences.append(sentence)
        return True


@pytest.mark.parametrize("decider", [LetsOut(), ApproveAll(), RejectAll()])
def test_command_that_the_sandbox_held_runs_without_it_once_a_person_says_so(root: Path, decider: Decider) -> None:
    replies: list[Reply] = [
        [calls("c1", "execute_command", command="touch made"), done("awaiting_tool")],
        [says("ok"), done()],
    ]
    with talk(root, decider, *replies, boundary=RefusesToWrite()) as t:
        assert t.loop.run_task("make it") == "completed"
        result = t.message(1)["result"]
        sentences = decider.sentences if isinstance(decider, LetsOut) else []
        lets_out = sentences == ["Run it once without the sandbox?"]
        assert lets_out is isinstance(decider, LetsOut)
        assert (root / "made").exists() is lets_out
        assert result["success"] is lets_out
        assert lets_out or "sandbox may have made this command fail" in result["sandbox"]
        assert "Without it the command can do what you can do." in t.output.getvalue()


class NobodyDecides(RejectAll):
    """Fails the test when a decision is asked for."""

    def decide_call(self, call: Chunk, question: Question) -> NoReturn:  # noqa: ARG002 nobody is asked
        raise AssertionError(call)
