"""What each decider lets run: decisions, edits, links to secrets, refusals of the workspace, the sandbox."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from client.decider import ApproveAll, Decider, RejectAll
from client.question import Question
from client.workspace.sandbox.boundary import Kind, Reach
from tests.client.runtime_double import Refuse, Reply, calls, chunk, done, says, status
from tests.client.turns.conftest import PLAN, talk
from wire.protocol import Chunk, HitlDecision


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
    ask["metadata"] |= {"danger": "high", "reasons": [{"code": "command.delete", "text": "'rm' deletes a.txt"}]}
    replies: list[Reply] = [[ask, done("awaiting_approval")], [status("c1", "rejected"), says("I stop."), done()]]
    with talk(root, ApproveAll(), *replies) as t:
        assert t.loop.run_task("delete") == "completed"
        assert t.message(1)["decision"] == "reject"
        assert "dangerous ('rm' deletes a.txt)" in t.message(1)["feedback"]
        assert (root / "a.txt").exists()
        assert len(t.double.messages) == 2


def test_approve_all_rejects_a_write_that_loses_and_says_what(root: Path) -> None:
    ask = calls("c1", "write_file", asks=True, path="a.txt", content="")
    ask["metadata"]["reasons"] = [{"code": "write.loss", "text": "It takes 6 of the 10 lines out of a.txt"}]
    replies: list[Reply] = [[ask, done("awaiting_approval")], [status("c1", "rejected"), says("I stop."), done()]]
    with talk(root, ApproveAll(), *replies) as t:
        before = (root / "a.txt").read_text()
        assert t.loop.run_task("shorten") == "completed"
        assert t.message(1)["decision"] == "reject"
        assert "it takes 6 of the 10 lines out of a.txt" in t.message(1)["feedback"]
        assert "edit_file" in t.message(1)["feedback"]
        assert (root / "a.txt").read_text() == before


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
