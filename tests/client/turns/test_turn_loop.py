"""One task against a scripted runtime: what goes out, calls that run, and how a turn ends."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from client.decider import ApproveAll, RejectAll
from client.question import Question
from tests.client.runtime_double import Reply, calls, chunk, delta, done, says, status
from tests.client.turns.conftest import talk
from wire.protocol import Chunk


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


def test_agent_can_be_switched(root: Path) -> None:
    switch = chunk("agent_switched", content="x", metadata={"from_agent": "coder", "to_agent": "ask", "reason": "r"})
    with talk(root, ApproveAll(), [switch, done()]) as t:
        t.loop.switch_agent("ask")
        assert t.message(0) == {"type": "switch_agent", "agent_type": "ask", "content": ""}
