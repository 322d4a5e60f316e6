"""A database of version 0.3.0 is migrated by the start of the server, and each of its sessions goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.ide import Chunks, Ide, answer_of, of_type, outcome_of, post, request_body, user_message
from tests.running import api_client, running_server
from tests.storage.databases_0_3_0 import postgres_0_3_0, sqlite_0_3_0


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url_0_3_0(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of version 0.3.0, on each kind of database."""
    if request.param == "sqlite":
        yield sqlite_0_3_0(tmp_path_factory.mktemp("upgrade") / "made.db")
        return
    with postgres_0_3_0(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture(scope="module")
def client(url_0_3_0: str) -> Iterator[httpx.Client]:
    """A client of a server started there for the second time; nothing is swept; each test has a session of its own."""
    with running_server(db_url=url_0_3_0, session_max_age_hours=0) as url, api_client(url) as http:
        assert http.get("/ready").json()["status"] == "ready"
    with running_server(db_url=url_0_3_0, session_max_age_hours=0) as url, api_client(url) as http:
        yield http


def decide(client: httpx.Client, session: str, call_id: str, decision: str = "approve") -> Chunks:
    return Ide(client, session_id=session).decide(call_id, decision)


def test_every_visible_session_is_listed_with_what_it_waits_for(client: httpx.Client) -> None:
    listed = client.get("/sessions").json()["sessions"]
    waits = {session["id"]: session["status"] for session in listed if session["id"] != "killed"}
    assert waits == {
        "finished": "idle",
        "approval": "awaiting_approval",
        "approved": "awaiting_tool",
        "round": "awaiting_approval",
        "question": "awaiting_answer",
        "plan": "awaiting_plan",
        "executing": "awaiting_approval",
        "rules": "idle",
    }


def test_a_finished_conversation_keeps_its_history_and_takes_the_next_message(client: httpx.Client) -> None:
    session = client.get("/sessions/finished").json()["session"]
    assert (session["title"], session["description"]) == ("A finished talk", "Two turns")
    history = client.get("/sessions/finished/history").json()["messages"]
    assert [m["role"] for m in history] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert answer_of(Ide(client, session_id="finished").say('#script\n[{"text": "Still here."}]')) == "Still here."


def test_a_pending_approval_is_approved_and_its_result_continues_the_turn(client: httpx.Client) -> None:
    told = decide(client, "approval", "write-1")
    assert of_type(told, "status")[0]["metadata"]["status"] == "approved"
    done = Ide(client, session_id="approval").result("write-1", {"success": True, "bytes_written": 6})
    assert answer_of(done) == "Written after the upgrade."


def test_an_edited_call_takes_its_result(client: httpx.Client) -> None:
    done = Ide(client, session_id="approved").result("write-1", {"success": True, "bytes_written": 6})
    assert answer_of(done) == "Written after the upgrade."


def test_a_round_with_one_result_stored_waits_for_the_other_call(client: httpx.Client) -> None:
    done = Ide(client, session_id="round").result("write-1", "ok")
    assert answer_of(done) == "Both are settled."
    roles = [m["role"] for m in client.get("/sessions/round/history").json()["messages"]]
    assert roles.count("tool") == 2


def test_an_open_question_takes_its_answer(client: httpx.Client) -> None:
    assert answer_of(Ide(client, session_id="question").say("blue")) == "Noted."


def test_a_waiting_plan_is_approved_and_executed(client: httpx.Client) -> None:
    waiting = client.get("/sessions/plan/pending-approvals").json()["pending_approvals"]
    approval = {"approval_request_id": waiting[0]["call_id"], "decision": "approve"}
    chunks = Ide(client, session_id="plan").send({"type": "plan_decision", **approval})
    assert of_type(chunks, "status")[1]["metadata"]["progress"] == "1/2"
    finish_plan(client, "plan", chunks)


def test_an_executing_plan_goes_on_with_its_open_call(client: httpx.Client) -> None:
    waiting = client.get("/sessions/executing/pending-approvals").json()["pending_approvals"]
    assert [row["tool_name"] for row in waiting] == ["write_file"]
    call_id = waiting[0]["call_id"]
    decide(client, "executing", call_id)
    finish_plan(
        client, "executing", Ide(client, session_id="executing").result(call_id, {"success": True, "bytes_written": 9})
    )


def finish_plan(client: httpx.Client, session: str, chunks: Chunks) -> None:
    """Play the IDE until the plan has ended; both subtasks must have been completed."""
    completed: Chunks = []
    for _ in range(10):
        completed += of_type(chunks, "subtask_completed")
        calls = of_type(chunks, "tool_call")
        if not calls:
            break
        call = calls[0]
        if call["requires_approval"]:
            decide(client, session, call["call_id"])
        chunks = Ide(client, session_id=session).result(
            call["call_id"], {"success": True, "content": "print('Hello')", "lines_read": 1}
        )
    ended = of_type(chunks, "execution_completed")
    assert [chunk["metadata"]["status"] for chunk in ended] == ["completed"], chunks
    assert outcome_of(chunks) == "completed"
    assert len(completed) == 2


def test_a_remembered_rule_still_clears_its_command(client: httpx.Client) -> None:
    script = '#script\n[{"tool": "execute_command", "args": {"command": "npm test"}, "id": "again"}, {"text": "Ok."}]'
    call = of_type(Ide(client, session_id="rules").say(script), "tool_call")[0]
    assert not call["requires_approval"]
    assert answer_of(Ide(client, session_id="rules").result("again", "ok")) == "Ok."


def test_a_deleted_session_stays_hidden_and_a_swept_one_comes_back(client: httpx.Client) -> None:
    assert post(client, request_body(user_message("hi"), "deleted"))[0].status_code == 404
    assert client.get("/sessions/swept/history").status_code == 404
    chunks = Ide(client, session_id="swept").say('#script\n[{"text": "Awake."}]')
    assert of_type(chunks, "session_info") == []
    assert answer_of(chunks) == "Awake."
    assert client.get("/sessions/swept").json()["session"]["message_count"] == 4


def test_a_run_whose_process_was_killed_is_finished(client: httpx.Client) -> None:
    with client.stream("GET", "/sessions/killed/stream", params={"after": 0}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: ") and json.loads(line[6:])["type"] == "done":
                break
    history = client.get("/sessions/killed/history").json()["messages"]
    assert [m["content"] for m in history if m["role"] == "assistant"] == ["Finished after the upgrade."]
