"""A call that another client decided or ran: shown, and run at most once."""

from pathlib import Path

import pytest

from client.decider import ApproveAll, RejectAll
from tests.client.runtime_double import Chunk_, Refuse, Reply, calls, chunk, done, says, status
from tests.client.turns.conftest import talk


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
