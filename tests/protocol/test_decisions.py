"""Decisions and results that come twice, late, at once, wrongly or not at all: as specified, and nothing dangles."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.ide import WRITE, Ide, answer_of, kinds, refusal_in
from tests.openai_stub import OpenAIStub
from tests.servers import Serve

PLAN = {
    "title": "Login",
    "description": "A form",
    "subtasks": [{"title": "t", "description": "d", "agent": "coder", "estimated_time_minutes": 5}],
}


@pytest.fixture
def client(shared: Serve) -> httpx.Client:
    return shared()


def write_call(call_id: str = "c1") -> dict[str, Any]:
    return {"tool": "write_file", "args": WRITE, "id": call_id}


def asked(client: httpx.Client, stub: OpenAIStub, *then: dict[str, Any], version: int = 1) -> Ide:
    """A session that waits for the decision on `c1`."""
    ide = Ide(client, version)
    stub.script([write_call(), *then])
    chunks = ide.say("Write lib/a.dart", agent_type="coder")
    call = next(chunk for chunk in chunks if chunk["type"] == "tool_call")
    assert (call["call_id"], call["requires_approval"]) == ("c1", True)
    return ide


def assert_settled(ide: Ide, stub: OpenAIStub) -> None:
    """Nothing waits, nothing dangles, and the next message works."""
    assert ide.pending() == []
    assert ide.status() == "idle"
    stub.script([{"text": "Still here."}])
    assert answer_of(ide.say("And now?")) == "Still here."
    assert stub.violations == []
    assert stub.left == 0


def executor_in(chunks: list[dict[str, Any]]) -> str | None:
    [status] = [chunk for chunk in chunks if chunk["type"] == "status"]
    executor: str | None = status["metadata"].get("executor")
    return executor


def test_the_client_whose_decision_was_accepted_runs_the_call(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = asked(client, stub, {"text": "Written."})
    assert executor_in(ide.decide("c1", "approve", executor="one")) == "one"
    assert executor_in(ide.decide("c1", "approve", executor="two")) == "one"
    assert executor_in(ide.decide("c1", "approve")) == "one"
    ide.result("c1")
    assert_settled(ide, stub)


def test_a_call_decided_without_an_executor_belongs_to_the_first_that_repeats_the_decision(
    client: httpx.Client, stub: OpenAIStub
) -> None:
    ide = asked(client, stub, {"text": "Written."})
    assert executor_in(ide.decide("c1", "approve")) is None
    with ThreadPoolExecutor() as pool:
        named = list(pool.map(lambda name: executor_in(ide.decide("c1", "approve", executor=name)), "abcdef"))
    assert len(set(named)) == 1
    assert named[0] in set("abcdef")
    ide.result("c1")
    assert_settled(ide, stub)


def test_an_edited_call_is_claimed_with_the_same_arguments(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = asked(client, stub, {"text": "Written."})
    edited = WRITE | {"content": "edited"}
    ide.decide("c1", "edit", modified_arguments=edited)
    assert executor_in(ide.decide("c1", "edit", modified_arguments=edited, executor="one")) == "one"
    ide.result("c1")
    assert_settled(ide, stub)


def test_the_same_decision_twice(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = asked(client, stub, {"text": "Written."})
    calls = stub.agent_calls
    first, second = ide.decide("c1", "approve"), ide.decide("c1", "approve")
    assert first == second
    assert kinds(first) == ["status"]
    assert first[0]["is_final"] is True
    told = {key: first[0]["metadata"][key] for key in ("call_id", "tool_name", "decision", "status", "remembered")}
    assert told == {
        "call_id": "c1",
        "tool_name": "write_file",
        "decision": "approve",
        "status": "approved",
        "remembered": False,
    }
    assert stub.agent_calls == calls, "a decision alone calls no model"
    assert answer_of(ide.result("c1", {"success": True})) == "Written."
    assert ide.decide("c1", "approve") == first
    assert [e["event"] for e in ide.audit()].count("approval_decided") == 1
    assert_settled(ide, stub)


@pytest.mark.parametrize("decision", ["reject", "edit"])
def test_the_same_rejection_or_edit_twice(client: httpx.Client, stub: OpenAIStub, decision: str) -> None:
    ide = asked(client, stub, {"text": "I see."})
    more = {"modified_arguments": {**WRITE, "content": "y"}} if decision == "edit" else {"feedback": "no"}
    first = ide.decide("c1", decision, **more)
    second = ide.decide("c1", decision, **more)
    assert kinds(second) == ["status"]
    assert second[0]["is_final"] is True
    assert second[0]["metadata"] == first[0]["metadata"]
    if decision == "reject":
        assert kinds(first) == ["status", "assistant_message"]
        assert first[0]["is_final"] is False
        assert ide.tool_messages() == {"c1": "The user rejected this call: no"}
    else:
        other = ide.refused({"type": "hitl_decision", "call_id": "c1", "decision": "edit", "modified_arguments": {}})
        assert (other["status"], other["code"]) == (409, "call_settled")
        ide.result("c1", "ok")
        assert "The user changed the arguments to" in ide.tool_messages()["c1"]
    assert_settled(ide, stub)


def test_another_decision_is_a_conflict_that_says_who_was_first(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = asked(client, stub, {"text": "Written."})
    ide.decide("c1", "approve")
    refused = ide.refused({"type": "hitl_decision", "call_id": "c1", "decision": "reject"})
    assert (refused["status"], refused["code"], refused["state"]) == (409, "call_settled", "approved")
    assert "The user decided 'approve'" in refused["detail"]
    twin = client.post(f"{ide.path}/approvals/c1", json={"decision": "reject"})
    assert (twin.status_code, twin.json()["state"]) == (409, "approved")
    again = client.post(f"{ide.path}/approvals/c1", json={"decision": "approve"})
    assert again.json() == {
        "call_id": "c1",
        "tool_name": "write_file",
        "decision": "approve",
        "status": "approved",
        "remembered": False,
        "continuing": False,
    }
    ide.result("c1", "ok")
    assert_settled(ide, stub)


def test_two_different_decisions_at_once(client: httpx.Client, stub: OpenAIStub) -> None:
    for _ in range(5):
        ide = asked(client, stub, {"text": "Understood."})

        def send(decision: str, ide: Ide = ide) -> int:
            chunks = ide.post({"type": "hitl_decision", "call_id": "c1", "decision": decision})[1]
            return int(refusal_in(chunks)["status"]) if kinds(chunks) == ["error"] else 200

        with ThreadPoolExecutor(2) as pool:
            statuses = list(pool.map(send, ["approve", "reject"]))
        assert sorted(statuses) == [200, 409]
        assert [e["event"] for e in ide.audit()].count("approval_decided") == 1
        if statuses[0] == 200:
            ide.result("c1", "ok")
        assert_settled(ide, stub)


def test_ten_equal_results_at_once_run_the_agent_once(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = asked(client, stub, {"text": "Written."})
    calls = stub.agent_calls
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ide.result("c1", "ok"), range(10)))
    assert sorted(kinds(a)[0] for a in answers) == ["assistant_message"] + ["status"] * 9
    late = next(a[0] for a in answers if a[0]["type"] == "status")
    assert late["metadata"] == {
        "call_id": "c1",
        "tool_name": "write_file",
        "status": "already_settled",
        "state": "done",
    }
    assert stub.agent_calls == calls + 1
    assert_settled(ide, stub)


def test_a_late_result_after_a_rejection_changes_nothing(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = asked(client, stub, {"text": "I see."})
    ide.decide("c1", "reject")
    calls = stub.agent_calls
    late = ide.result("c1", "too late")
    assert kinds(late) == ["status"]
    assert (late[0]["is_final"], late[0]["metadata"]["state"]) == (True, "rejected")
    assert stub.agent_calls == calls
    assert ide.tool_messages() == {"c1": "The user rejected this call."}
    assert [e["event"] for e in ide.audit()][-1] == "late_result"
    assert_settled(ide, stub)


def test_unknown_calls_and_calls_that_never_asked(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client, 1)
    stub.script([{"tool": "read_file", "args": {"path": "a"}, "id": "r1"}, {"text": "Read."}])
    ide.say("Read a", agent_type="coder")
    for message in ({"type": "tool_result", "result": 1}, {"type": "hitl_decision", "decision": "approve"}):
        refused = ide.refused({**message, "call_id": "nobody"})
        assert (refused["status"], refused["code"]) == (404, "call_unknown")
    refused = ide.refused({"type": "hitl_decision", "call_id": "r1", "decision": "approve"})
    assert (refused["status"], refused["code"]) == (409, "approval_not_required")
    assert ide.status() == "awaiting_tool"
    assert answer_of(ide.result("r1", "abc")) == "Read."
    assert_settled(ide, stub)


def test_a_new_message_settles_every_open_call(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    three = [write_call("c1"), write_call("c2"), {"tool": "read_file", "args": {"path": "a"}, "id": "r1"}]
    stub.script([{"tools": three}, {"text": "New topic."}])
    ide.say("Do three things", agent_type="coder")
    assert ide.status() == "awaiting_approval"
    ide.decide("c2", "approve")
    assert answer_of(ide.say("Something else")) == "New topic."
    assert ide.tool_messages() == {
        "c1": "The user sent a new message before this call was decided. Treat it as not run.",
        "c2": "The user sent a new message before the result of this call arrived. It may or may not have run.",
        "r1": "The user sent a new message before the result of this call arrived. It may or may not have run.",
    }
    refused = ide.refused({"type": "hitl_decision", "call_id": "c1", "decision": "approve"})
    assert (refused["status"], refused["code"], refused["state"]) == (409, "call_settled", "superseded")
    for call_id, state in (("c1", "superseded"), ("c2", "failed"), ("r1", "failed")):
        assert ide.result(call_id, "late")[0]["metadata"]["state"] == state
    assert_settled(ide, stub)


def test_results_and_decisions_in_any_order(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    three = [write_call("c1"), write_call("c2"), {"tool": "read_file", "args": {"path": "a"}, "id": "r1"}]
    stub.script([{"tools": three}, {"text": "All done."}])
    ide.say("Do three things", agent_type="coder")
    calls = stub.agent_calls
    recorded = ide.result("r1", "abc")
    assert kinds(recorded) == ["status", "done"]
    assert recorded[0]["metadata"]["status"] == "result_recorded"
    assert sorted(recorded[0]["metadata"]["open_calls"]) == ["c1", "c2"]
    assert recorded[1]["metadata"]["outcome"] == "awaiting_approval"
    rejected = ide.decide("c2", "reject", feedback="not that")
    assert kinds(rejected) == ["status", "done"]
    assert rejected[0]["is_final"] is True
    approved = ide.decide("c1", "approve")
    assert approved[-1]["metadata"]["outcome"] == "awaiting_tool"
    assert stub.agent_calls == calls
    assert answer_of(ide.result("c1", "ok")) == "All done."
    assert stub.agent_calls == calls + 1
    assert_settled(ide, stub)


def test_plan_decisions(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    stub.script([{"tool": "create_plan", "args": PLAN, "id": "p1"}, {"text": "Subtask done."}])
    chunks = ide.say("Plan a login", agent_type="architect")
    request_id = next(c["approval_request_id"] for c in chunks if c["type"] == "plan_approval_required")
    assert ide.pending() == [request_id]
    for wrong in ("plan-approval-nothing", "p1", request_id + "x", request_id.removeprefix("plan-approval-")):
        decision = {"type": "plan_decision", "approval_request_id": wrong, "decision": "approve"}
        refused = ide.refused(decision)
        assert (refused["status"], refused["code"]) == (404, "approval_unknown"), wrong
    held = ide.result(request_id, "go")
    assert held[0]["metadata"]["status"] == "plan_decision_required"
    assert ide.pending() == [request_id]
    approve = {"type": "plan_decision", "approval_request_id": request_id, "decision": "approve"}
    done = ide.send(approve)
    assert [k for k in kinds(done) if k != "assistant_message"] == [
        "status",
        "status",
        "subtask_completed",
        "execution_completed",
        "done",
    ]
    again = ide.send(approve)
    assert kinds(again) == ["status", "done"]
    assert again[0]["is_final"] is True
    refused = ide.refused({**approve, "decision": "reject"})
    assert (refused["status"], refused["code"]) == (409, "call_settled")
    assert_settled(ide, stub)


def test_a_digest_binds_the_decision_to_what_was_shown(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = asked(client, stub, {"text": "Written."}, version=2)
    digest = ide.get("/pending-approvals")["pending_approvals"][0]["digest"]
    refused = ide.refused({"type": "hitl_decision", "call_id": "c1", "decision": "approve", "digest": "0" * 64})
    assert (refused["status"], refused["code"]) == (409, "digest_mismatch")
    assert ide.pending() == ["c1"]
    assert ide.decide("c1", "approve", digest=digest)[0]["metadata"]["status"] == "approved"
    ide.result("c1", "ok")
    assert_settled(ide, stub)


def test_edits_pass_schema_and_policy_again(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = asked(client, stub, {"text": "Written."}, version=2)
    for arguments in ({"path": "a"}, {**WRITE, "surprise": 1}, {**WRITE, "path": ".git/config"}):
        chunks = ide.decide("c1", "edit", modified_arguments=arguments)
        assert kinds(chunks) == ["error", "done"], arguments
        assert chunks[0]["metadata"]["code"] == "decision_invalid"
        assert chunks[0]["error"] == chunks[0]["content"]
        assert ide.pending() == ["c1"]
        body = {"decision": "edit", "modified_arguments": arguments}
        twin = client.post(f"{ide.path}/approvals/c1", json=body)
        assert (twin.status_code, twin.json()["code"]) == (400, "decision_invalid")
    edited = {**WRITE, "content": "z"}
    status = ide.decide("c1", "edit", modified_arguments=edited)[0]
    assert status["metadata"]["status"] == "approved_with_edits"
    assert status["metadata"]["arguments"] == edited
    ide.result("c1", "ok")
    assert "edit_refused" in [e["event"] for e in ide.audit()]
    assert_settled(ide, stub)
