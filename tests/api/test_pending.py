"""What waits over all sessions, what a write would change, restoring, placed messages and forks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ide import Ide, answer_of, outcome_of
from tests.openai_stub import OpenAIStub
from tests.servers import Serve

QUESTION = {"question": "Which colour?", "suggestions": ["red", "blue"]}
PLAN = {
    "title": "Two steps",
    "description": "d",
    "subtasks": [{"title": "t", "description": "d", "agent": "coder", "estimated_time_minutes": 5}],
}


def write(number: int, content: str, path: str = "a.txt") -> dict[str, Any]:
    return {"tool": "write_file", "args": {"path": path, "content": content}, "id": f"w{number}"}


def test_pending_lists_approvals_plans_and_questions_of_all_sessions(shared: Serve, stub: OpenAIStub) -> None:
    client = shared()
    ides = [Ide(client) for _ in range(3)]
    stub.script(
        [
            write(1, "one\ntwo\n"),
            {"tool": "ask_followup_question", "args": QUESTION, "id": "q1"},
            {"tool": "create_plan", "args": PLAN, "id": "p1"},
        ]
    )
    ides[0].say("Write a.txt", agent_type="coder")
    ides[1].say("Paint it", agent_type="coder")
    ides[2].say("Plan it", agent_type="architect")
    found = client.get("/pending").json()
    assert (found["count"], found["is_cut"]) == (3, False)
    tool, question, plan = found["pending"]
    assert [row["session_id"] for row in found["pending"]] == [ide.session_id for ide in ides]
    assert [row["request_type"] for row in found["pending"]] == ["tool", "question", "plan"]
    assert (tool["session_title"], tool["agent"], tool["details"]["danger"]) == ("Write a.txt", "coder", "normal")
    assert tool["change"] == {
        "call_id": "w1", "path": "a.txt", "against": "nothing", "diff": ["@@ -0,0 +1,2 @@", "+one", "+two"],
        "is_cut": False,
    }  # fmt: skip
    assert (question["subject"], question["question"]) == ("Which colour?", QUESTION)
    assert (plan["request_id"], plan["change"]) == (f"plan-approval-{plan['details']['plan_id']}", None)
    assert client.get("/pending", params={"limit": 2}).json()["is_cut"]
    assert client.get("/pending", params={"limit": 0}).status_code == 400


def test_pending_shows_only_the_callers_and_only_what_is_undecided(shared: Serve, stub: OpenAIStub) -> None:
    client, other = shared(), shared()
    ide = Ide(client)
    stub.script([write(1, "x"), {"text": "ok"}, write(2, "x")])
    ide.say("Write", agent_type="coder")
    assert other.get("/pending").json()["pending"] == []
    assert other.get(f"{ide.path}/calls/w1/change").status_code == 404
    ide.decide("w1", "reject")
    assert client.get("/pending").json()["count"] == 0
    ide.say("Write again")
    assert client.get("/pending").json()["count"] == 1
    client.delete(ide.path)
    assert client.get("/pending").json()["count"] == 0


@pytest.mark.parametrize(
    ("known", "against"),
    [
        ({"tool": "read_file", "args": {"path": "./a.txt"}, "id": "r1"}, "last_read"),
        (write(1, "one\ntwo\n"), "last_write"),
    ],
)
def test_a_change_says_which_old_text_it_is_against(
    shared: Serve, stub: OpenAIStub, known: dict[str, Any], against: str
) -> None:
    ide = Ide(shared())
    stub.script([known, write(2, "one\n2\n"), {"text": "ok"}])
    ide.say("Change", agent_type="coder")
    if against == "last_write":
        ide.decide("w1", "approve")
    ide.result(known["id"], {"success": True, "content": "one\ntwo\n"})
    change = ide.get("/calls/w2/change")
    assert change["against"] == against
    assert change["diff"] == ["@@ -1,2 +1,2 @@", " one", "-two", "+2"]
    ide.decide("w2", "approve")
    ide.result("w2", {"success": True})
    assert ide.get("/calls/w2/change") == change, "what was written is compared with the text before it"
    if against == "last_read":
        assert ide.get("/calls/r1/change") is None
    assert ide.client.get(f"{ide.path}/calls/nothing/change").status_code == 404


def test_an_edit_is_compared_with_the_text_it_quotes(shared: Serve, stub: OpenAIStub) -> None:
    ide = Ide(shared())
    stub.script([{"tool": "edit_file", "args": {"path": "a", "old": "x\ny", "new": "x\nz"}, "id": "e1"}])
    ide.say("Edit", agent_type="coder", environment={"tools": ["edit_file"]})
    change = ide.get("/calls/e1/change")
    assert (change["against"], change["diff"][1:]) == ("quoted", [" x", "-y", "+z"])


def test_a_change_of_many_lines_is_cut(shared: Serve, stub: OpenAIStub) -> None:
    ide = Ide(shared())
    stub.script([write(1, "x\n" * 5000)])
    ide.say("Write", agent_type="coder")
    change = ide.get("/calls/w1/change")
    assert (len(change["diff"]), change["is_cut"]) == (2000, True)


def test_a_deleted_session_comes_back(shared: Serve, stub: OpenAIStub) -> None:
    client, other = shared(), shared()
    ide = Ide(client)
    stub.script([{"text": "Hello."}, {"text": "Again."}])
    ide.say("Hi", agent_type="ask")
    client.delete(ide.path)
    deleted = client.get("/sessions", params={"deleted": True}).json()
    assert [(row["id"], row["is_active"]) for row in deleted["sessions"]] == [(ide.session_id, False)]
    assert deleted["total"] == 1
    assert other.post(f"{ide.path}/restore").status_code == 404
    assert client.post(f"{ide.path}/restore").json()["session"]["id"] == ide.session_id
    assert client.post(f"{ide.path}/restore").status_code == 200, "restoring twice changes nothing"
    assert client.get("/sessions", params={"deleted": True}).json()["total"] == 0
    assert answer_of(ide.say("Go on")) == "Again."


def test_messages_have_their_places_in_the_log(shared: Serve, stub: OpenAIStub) -> None:
    ide = Ide(shared())
    stub.script([{"text": "First."}, {"text": "Second."}])
    ide.say("One", agent_type="ask")
    ide.say("Two")
    events = ide.get("/messages", limit=2)
    assert (events["total"], [m["content"] for m in events["messages"]]) == (4, ["One", "First."])
    first, answer, second, _ = ide.get("/messages")["messages"]
    assert first["after_seq"] is None
    assert 0 < answer["after_seq"] <= second["after_seq"]
    assert [m["position"] for m in ide.get("/messages", offset=1)["messages"]] == [2, 3, 4]
    assert ide.client.get(f"{ide.path}/messages", params={"limit": 1001}).status_code == 400


def test_a_fork_goes_on_from_a_past_turn_with_the_same_conversation(shared: Serve, stub: OpenAIStub) -> None:
    client, other = shared(), shared()
    ide = Ide(client)
    stub.script([write(1, "x"), {"text": "Written."}, {"text": "Blue."}, {"text": "Forked answer."}])
    ide.say("Write", agent_type="coder", environment={"os": "linux"})
    ide.decide("w1", "approve")
    ide.result("w1", {"success": True})
    ide.say("Paint it")
    asked = next(m["id"] for m in ide.get("/messages")["messages"] if m["content"] == "Paint it")
    assert other.post(f"{ide.path}/fork", json={"before": asked}).status_code == 404
    assert client.post(f"{ide.path}/fork", json={"before": "nothing"}).status_code == 400
    made = client.post(f"{ide.path}/fork", json={"before": asked})
    assert made.status_code == 201
    fork = Ide(client, session_id=made.json()["id"])
    assert made.json() | {"id": ""} == {
        "id": "", "forked_from": ide.session_id, "message_count": 4, "current_agent": "coder", "title": "Fork of Write",
    }  # fmt: skip
    assert fork.history() == ide.history()[:4]
    assert outcome_of(fork.say("Now in green")) == "completed"
    sent = [str(m.get("content")) for m in stub.last_agent_request["messages"]]
    assert any("Write" in text for text in sent), "the model reads the copied conversation"
    assert not any("Paint it" in text for text in sent)
    assert len(ide.history()) == 6, "the source stays as it was"


def test_a_fork_of_a_session_that_waits_leaves_the_open_call_behind(shared: Serve, stub: OpenAIStub) -> None:
    client = shared()
    ide = Ide(client)
    stub.script([write(1, "x"), {"text": "Fine."}])
    ide.say("Write", agent_type="coder")
    fork = Ide(client, session_id=client.post(f"{ide.path}/fork").json()["id"])
    assert (ide.pending(), fork.pending()) == (["w1"], [])
    assert answer_of(fork.say("Never mind")) == "Fine."


@pytest.mark.parametrize(
    ("agent", "by_rest", "via"),
    [
        ("python-httpx/0.28", True, "rest"),
        ("python-httpx/0.28", False, "ide"),
        ("agent-runtime-terminal", False, "terminal"),
        ("agent-runtime-editor", True, "editor"),
    ],
)
def test_the_audit_says_with_which_client_a_call_was_decided(
    shared: Serve, stub: OpenAIStub, agent: str, by_rest: bool, via: str
) -> None:
    ide = Ide(shared())
    stub.script([write(1, "x"), {"text": "ok"}])
    ide.say("Write", agent_type="coder")
    ide.client.headers["User-Agent"] = agent
    if by_rest:
        ide.client.post(f"{ide.path}/approvals/w1", json={"decision": "reject"})
    else:
        ide.decide("w1", "reject")
    decided = [entry for entry in ide.audit() if entry["event"] == "approval_decided"]
    assert [entry["details"]["via"] for entry in decided] == [via]
