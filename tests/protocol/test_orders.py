"""The orders in which clients of three generations approve a call, and what the audit says of each."""

from __future__ import annotations

from typing import Any

from tests.ide import WRITE, Ide, answer_of, kinds
from tests.openai_stub import OpenAIStub
from tests.running import talking

CALL = {"tool": "write_file", "args": WRITE, "id": "c1"}


def approvals(ide: Ide) -> list[tuple[str, str, Any]]:
    """How each approval came about: event, actor, decision."""
    return [
        (e["event"], e["actor"], e["details"].get("decision"))
        for e in ide.audit()
        if e["event"].startswith(("approval", "rule"))
    ]


def test_january_order_a_result_and_no_decision(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        ide = Ide(client, 1)
        stub.script([CALL, {"text": "Written."}])
        ide.say("Write", agent_type="coder")
        assert ide.pending() == ["c1"]
        assert answer_of(ide.result("c1", {"success": True})) == "Written."
        assert approvals(ide) == [("approval_implicit", "client", "approve")]
        danger = [e["details"]["danger"] for e in ide.audit() if e["event"] == "approval_implicit"]
        assert danger == ["normal"]
        assert ide.get("/rules")["count"] == 0
        stub.script([{**CALL, "id": "c2"}, {"text": "Not written."}])
        ide.say("Write again")
        assert answer_of(ide.result("c2", error="User rejected the write")) == "Not written."
        assert approvals(ide)[1] == ("approval_implicit", "client", "reject")
        assert ide.tool_messages()["c2"] == "Error: User rejected the write"
        stub.script([{**CALL, "id": "c3"}, {"text": "It failed."}])
        ide.say("Once more")
        assert answer_of(ide.result("c3", error="Disk full")) == "It failed."
        assert approvals(ide)[2] == ("approval_implicit", "client", "approve")
        assert ide.tool_messages()["c3"] == "Error: Disk full"
        decisions = client.get("/events/metrics").json()["metrics"]["hitl_decisions"]
        assert decisions == {"write_file": {"APPROVE": 2, "EDIT": 0, "REJECT": 1}}
        assert (ide.pending(), ide.status(), stub.violations) == ([], "idle", [])
        stub.script([{"text": "Next."}])
        assert answer_of(ide.say("And now?")) == "Next."


def test_february_order_a_decision_and_then_the_result(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        ide = Ide(client, 1)
        stub.script([CALL, {"text": "Written."}])
        ide.say("Write", agent_type="coder")
        assert kinds(ide.decide("c1", "approve")) == ["status"]
        assert ide.status() == "awaiting_tool"
        assert answer_of(ide.result("c1", {"success": True})) == "Written."
        assert approvals(ide) == [("approval_decided", "user", "approve")]
        assert (ide.pending(), ide.status(), stub.violations) == ([], "idle", [])


def test_strict_mode_takes_no_result_without_a_decision(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub, approval_mode="strict") as client:
        ide = Ide(client, 1)
        stub.script([CALL, {"text": "Written."}])
        ide.say("Write", agent_type="coder")
        for _ in range(2):
            refused = ide.refused({"type": "tool_result", "call_id": "c1", "result": "done anyway"})
            assert (refused["status"], refused["code"]) == (409, "approval_required")
        assert ide.pending() == ["c1"]
        ide.decide("c1", "approve")
        assert answer_of(ide.result("c1", {"success": True})) == "Written."
        assert approvals(ide) == [
            ("approval_required", "client", None),
            ("approval_required", "client", None),
            ("approval_decided", "user", "approve"),
        ]
        assert (ide.pending(), ide.status(), stub.violations) == ([], "idle", [])


def test_a_falsy_result_is_a_result(db_url: str, stub: OpenAIStub) -> None:
    with talking(db_url, stub) as client:
        ide = Ide(client, 1)
        results = [0, False, "", None, {"a": [1]}, "text", 10**30, 1.5]
        reads = [{"tool": "read_file", "args": {"path": f"f{n}"}, "id": f"r{n}"} for n in range(len(results))]
        stub.script([*reads, {"text": "All read."}])
        chunks = ide.say("Read them all", agent_type="coder")
        for number, result in enumerate(results):
            assert chunks[-1]["call_id"] == f"r{number}"
            chunks = ide.result(f"r{number}", result)
        assert answer_of(chunks) == "All read."
        assert list(ide.tool_messages().values()) == [
            "0",
            "false",
            "",
            "Tool executed successfully",
            '{"a": [1]}',
            "text",
            "1" + "0" * 30,
            "1.5",
        ]
