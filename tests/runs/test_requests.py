"""What a request costs in statements: each transaction reads the row of its session at most once."""

from __future__ import annotations

import re

import pytest

from storage.sqlite import SqliteDatabase
from tests.runs.opened import Client, opened

WRITE = {"tool": "write_file", "args": {"path": "a.py", "content": ""}, "id": "c1"}
READ = {"tool": "read_file", "args": {"path": "a.py"}, "id": "c2"}
SESSION_READ = re.compile(r"select id, .*\sfrom sessions\s+where id = 's'", re.DOTALL)


async def every_kind_of_message(client: Client) -> None:
    await client.play([{"tools": [WRITE, READ]}, {"text": "Both are there."}])
    await client.post({"type": "hitl_decision", "call_id": "c1", "decision": "approve"})
    await client.post({"type": "tool_result", "call_id": "c1", "result": "x"})
    await client.post({"type": "tool_result", "call_id": "c2", "result": "y"})
    await client.post({"type": "tool_result", "call_id": "c2", "result": "again"})
    await client.play([{"tool": "read_file", "args": {"path": "b.py"}, "id": "c3"}])
    await client.post({"type": "switch_agent", "agent_type": "ask"})
    await client.play([{"tool": "read_file", "args": {"path": "c.py"}, "id": "c4"}])
    await client.http.post("/sessions/s/cancel")
    await client.http.post("/agents/s/switch", json={"target_agent": "debug"})
    await client.http.patch("/sessions/s", json={"title": "Renamed"})


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
async def test_a_transaction_reads_its_session_once(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        assert isinstance(engine.database, SqliteDatabase)
        statements: list[str] = []
        await engine.database._connection.set_trace_callback(statements.append)
        await every_kind_of_message(client)
        assert (await client.get("/sessions/s"))["session"]["title"] == "Renamed"
        await engine.database._connection.set_trace_callback(None)
    transactions: list[list[str]] = []
    is_open = False
    for statement in statements:
        if statement.startswith("begin"):
            transactions.append([])
        is_open = (is_open or statement.startswith("begin")) and not statement.startswith("commit")
        if is_open:
            transactions[-1].append(statement)
    reads = [len([s for s in transaction if SESSION_READ.search(s)]) for transaction in transactions]
    assert max(reads) == 1, transactions[reads.index(max(reads))]
    assert reads.count(1) >= 11, "every request of the list reads its session"
