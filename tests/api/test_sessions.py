"""Sessions: title, paging, change, deletion that leaves no row, audit and rules."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from storage.address import read_url
from storage.database import stamp
from tests.ide import WRITE, Ide
from tests.openai_stub import OpenAIStub
from tests.running import talking

EMPTY_ANYWAY = {"alembic_version", "checkpoint_migrations", "schema_compatibility", "sqlite_sequence", "workers"}


@pytest.fixture
def client(db_url: str, stub: OpenAIStub) -> Iterator[httpx.Client]:
    with talking(db_url, stub) as client:
        yield client


def rows(db_url: str) -> dict[str, int]:
    """How many rows each table holds, LangGraph's included."""
    address = read_url(db_url)
    if address.dialect == "sqlite":
        with sqlite3.connect(address.target) as connection:
            names = [r[0] for r in connection.execute("select name from sqlite_master where type = 'table'")]
            found = {n: connection.execute(f'select count(*) from "{n}"').fetchone()[0] for n in names}
        connection.close()
    else:
        with psycopg.connect(address.target) as pg:
            listed = pg.execute("select tablename from pg_tables where schemaname = 'agent_runtime'").fetchall()
            found = {n: pg.execute(f'select count(*) from "{n}"').fetchone()[0] for (n,) in listed}  # type: ignore[index]
    return {name: count for name, count in found.items() if name not in EMPTY_ANYWAY}


def test_titles(client: httpx.Client, stub: OpenAIStub) -> None:
    stub.script([{"text": "ok"}] * 6)
    ide = Ide(client, 1)
    ide.say("  \n Fix the login \nIt fails since Monday", agent_type="ask")
    assert ide.get()["session"]["title"] == "Fix the login"
    ide.say("Another request")
    assert ide.get()["session"]["title"] == "Fix the login"
    long = Ide(client, 1)
    long.say("x" * 700, agent_type="ask")
    assert long.get()["session"]["title"] == "x" * 500
    patched = client.patch(ide.path, json={"title": "Mine", "description": "d"}).json()["session"]
    assert (patched["title"], patched["description"]) == ("Mine", "d")
    assert client.patch(ide.path, json={"title": None}).json()["session"] | {"title": None} == ide.get()["session"]
    ide.say("A third request")
    assert ide.get()["session"]["title"] is None, "a title that was cleared stays so"
    for change in ({"title": "x" * 501}, {"description": "x" * 2001}, {"title": 7}):
        assert client.patch(ide.path, json=change).status_code == 422
    assert client.patch(ide.path, json={}).status_code == 200
    assert ide.get()["session"]["description"] == "d"


def test_pages_with_a_true_total(client: httpx.Client, stub: OpenAIStub) -> None:
    ids = [f"s{n}" for n in range(7)]
    for session_id in ids:
        client.post("/sessions", json={"session_id": session_id})
    stub.script([{"text": "ok"}])
    Ide(client, 1, session_id="s2").say("Newest now", agent_type="ask")
    client.delete("/sessions/s4")
    wanted = ["s2", "s6", "s5", "s3", "s1", "s0"]
    page = client.get("/sessions", params={"limit": 4}).json()
    assert (page["total"], page["limit"], page["offset"]) == (6, 4, 0)
    assert [row["id"] for row in page["sessions"]] == wanted[:4]
    rest = client.get("/sessions", params={"limit": 4, "offset": 4, "active_only": False}).json()
    assert (rest["total"], [row["id"] for row in rest["sessions"]]) == (6, wanted[4:])
    row = page["sessions"][0]
    assert row | {"last_activity": ""} == {
        "id": "s2",
        "title": "Newest now",
        "message_count": 2,
        "last_activity": "",
        "is_active": True,
        "current_agent": "ask",
        "status": "idle",
    }


def test_message_count_is_the_length_of_the_history(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client, 1)
    question = {"question": "Which?", "suggestions": ["a", "b"]}
    stub.script(
        [
            {"tool": "ask_followup_question", "args": question, "id": "q1"},
            {"tool": "read_file", "args": {"path": "a"}, "id": "c1"},
            {"text": "done"},
        ]
    )
    ide.say("Do it", agent_type="coder")
    ide.say("a")
    ide.result("c1", "abc")
    history = ide.get("/history")
    told = {history["message_count"], ide.get()["session"]["message_count"], len(history["messages"])}
    assert told == {7}
    full = ide.get(include_messages=True)["session"]["messages"]
    assert [m["role"] for m in full] == ["user", "assistant", "tool", "user", "assistant", "tool", "assistant"]
    assert all(m["created_at"].endswith("+00:00") for m in full)


def test_soft_delete_hides_and_keeps(client: httpx.Client, stub: OpenAIStub, db_url: str) -> None:
    ide = Ide(client, 1)
    stub.script([{"tool": "write_file", "args": WRITE, "id": "c1"}])
    ide.say("Write", agent_type="coder")
    before = rows(db_url)
    gone = client.delete(ide.path)
    assert gone.json() == {"id": ide.session_id, "deleted": True, "hard": False}
    for rest in ("", "/history", "/pending-approvals", "/stream", "/audit", "/rules"):
        assert client.get(ide.path + rest).status_code == 404, rest
    assert client.delete(ide.path).status_code == 404
    assert ide.refused({"type": "user_message", "content": "Still there?"})["code"] == "session_unknown"
    assert client.post("/sessions", json={"session_id": ide.session_id}).status_code == 409
    after = rows(db_url)
    assert all(after[table] >= count for table, count in before.items())
    assert client.get("/sessions").json()["total"] == 0
    assert ide.session_id not in client.get("/events/audit-log").text


@pytest.mark.parametrize("soft_first", [False, True], ids=["at once", "after a soft one"])
def test_hard_delete_leaves_no_row(client: httpx.Client, stub: OpenAIStub, db_url: str, soft_first: bool) -> None:
    ide = Ide(client, 1)
    stub.script(
        [
            {"tool": "execute_command", "args": {"command": "pytest tests/unit"}, "id": "c1"},
            {"tool": "write_file", "args": WRITE, "id": "c2"},
        ]
    )
    ide.say("Test, then write", agent_type="coder", environment={"os": "linux", "shell": "bash"})
    ide.decide("c1", "approve", remember="session")
    ide.result("c1", "ok")
    plan = {"title": "P", "description": "d", "subtasks": [subtask()]}
    stub.script([{"tool": "create_plan", "args": plan, "id": "p1"}])
    ide.say("Plan", agent_type="architect")
    filled = {table for table, count in rows(db_url).items() if count}
    assert {"sessions", "runs", "events", "tool_calls", "messages", "plans", "audit_log", "llm_calls"} <= filled
    assert {"checkpoints", "writes"} <= filled or {"checkpoints", "checkpoint_blobs", "checkpoint_writes"} <= filled
    if soft_first:
        assert client.delete(ide.path).status_code == 200
    gone = client.delete(ide.path, params={"hard": True})
    assert gone.json() == {"id": ide.session_id, "deleted": True, "hard": True}
    assert {table: count for table, count in rows(db_url).items() if count} == {}
    assert client.delete(ide.path, params={"hard": True}).status_code == 404
    assert client.post("/sessions", json={"session_id": ide.session_id}).status_code == 201


def subtask() -> dict[str, object]:
    return {"title": "t", "description": "d", "agent": "coder", "estimated_time_minutes": 5}


def test_deleting_a_session_ends_its_streams(client: httpx.Client, stub: OpenAIStub) -> None:
    async def follow_until_deleted(hard: bool) -> None:
        session_id = f"s-{hard}"
        headers = dict(client.headers)
        async with httpx.AsyncClient(base_url=client.base_url, headers=headers, trust_env=False) as other:
            await other.post("/sessions", json={"session_id": session_id})
            async with other.stream("GET", f"/sessions/{session_id}/stream") as stream:
                assert stream.status_code == 200
                await other.delete(f"/sessions/{session_id}", params={"hard": hard})
                async with asyncio.timeout(4):
                    assert [chunk async for chunk in stream.aiter_bytes()] == []

    for hard in (False, True):
        asyncio.run(follow_until_deleted(hard))


def test_audit_pages(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client, 1)
    stub.script([{"tool": "write_file", "args": WRITE, "id": "c1"}, {"text": "ok"}])
    began = stamp()
    ide.say("Write", agent_type="coder")
    ide.decide("c1", "reject", feedback="no")
    whole = ide.get("/audit")
    assert whole["total"] == len(whole["entries"]) >= 2
    assert [e["event"] for e in whole["entries"]] == ["verdict", "approval_decided"]
    decided = whole["entries"][1]
    assert set(decided) == {"id", "at", "event", "actor", "run_id", "agent", "call_id", "tool_name", "details"}
    assert (decided["actor"], decided["call_id"], decided["tool_name"]) == ("user", "c1", "write_file")
    assert began < decided["at"] < stamp()
    paged = [ide.get("/audit", limit=1, offset=n)["entries"][0] for n in range(whole["total"])]
    assert paged == whole["entries"]
    assert client.get(ide.path + "/audit", params={"limit": 0}).status_code == 400


def test_rules_are_listed_and_revoked(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client, 1)
    command = {"command": "pytest tests/unit"}
    stub.script([{"tool": "execute_command", "args": command, "id": "c1"}, {"text": "ok"}])
    ide.say("Test", agent_type="coder", environment={"os": "linux", "shell": "bash"})
    status = ide.decide("c1", "approve", remember="session")[0]
    assert status["metadata"]["remembered"] is True
    listed = ide.get("/rules")
    assert (listed["session_id"], listed["count"]) == (ide.session_id, 1)
    rule = listed["rules"][0]
    assert (rule["tool_name"], rule["call_id"]) == ("execute_command", "c1")
    unknown = client.delete(f"{ide.path}/rules/nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "rule_unknown")
    assert client.delete(f"{ide.path}/rules/{rule['id']}").json() == {"removed": 1}
    assert client.delete(f"{ide.path}/rules").json() == {"removed": 0}
    assert ide.get("/rules")["rules"] == []
    assert [e["event"] for e in ide.audit()].count("rule_removed") == 1
