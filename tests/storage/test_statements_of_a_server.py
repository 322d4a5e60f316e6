"""Every statement that a server sends while it is used finds its rows by an index, however many sessions there are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from benchmarks.performance.processes import postgresql
from benchmarks.scale.filling import fill
from benchmarks.scale.tables import OWNER, Probe, operations
from runs.keep import housekeeping
from tests.ide import STREAM, chunks_in, hitl_decision, request_body, tool_result, user_message
from tests.runs.opened import opened
from tests.storage.statement_log import Sent, log_of, statements_in

SESSIONS = 10_000
EVENTS = 3
SMALL = {"workers", "schema_compatibility", "alembic_version", "pg_database"}
"""Tables with a row for each process, and catalogues."""
MAY_BE_READ_WHOLE = {"one_running_run", "given_up_runs"}
"""Partial indexes: of the runs that are running, as many as the processes drive; and in its order, up to a limit."""
WHOLE_TABLES = {
    "last_seq > $": "trimming, once an hour: an index on last_seq would cost every append its in-place update",
}
"""Statements that read a table from end to end, each with the reason."""
WRITE = {"tool": "write_file", "args": {"path": "lib/a.dart", "content": "x"}, "id": "w1"}
PLAN = {"tool": "create_plan", "args": {"title": "P", "steps": ["one", "two"]}, "id": "p1"}


async def use(db_url: str, connection: psycopg.Connection[Any]) -> None:
    """Do what users, clients and housekeeping do."""
    async with opened(db_url) as (engine, client):
        http = client.http

        async def send(message: dict[str, Any], session_id: str) -> list[dict[str, Any]]:
            answer = await http.post(STREAM, json=request_body(message, session_id), headers=OWNER)
            assert answer.status_code == 200, answer.text
            return chunks_in(answer.text)

        probe = Probe(engine, client, connection)
        for _, operation in operations(probe).values():
            await operation()
        await housekeeping.keep_house(engine)
        session = probe.session()
        script = f"#script\n{json.dumps([WRITE, {'text': 'Done.'}])}\nWrite."
        await send(user_message(script, agent_type="coder"), session)
        for path in ("", "/pending-approvals", "/calls/w1/change", "/rules", "/audit", "/messages", "/model-calls"):
            await http.get(f"/sessions/{session}{path}", headers=OWNER)
        await send(hitl_decision("w1", "approve", remember="session"), session)
        chunks = await send(tool_result("w1", {"success": True}), session)
        assert chunks[-1]["metadata"]["outcome"] == "completed", chunks
        await send({"type": "switch_agent", "agent_type": "ask", "content": "go on"}, session)
        for method, path in (
            ("POST", f"/sessions/{session}/fork"), ("PATCH", f"/sessions/{session}"),
            ("POST", f"/sessions/{session}/cancel"), ("GET", f"/sessions/{session}/calls/w1/result"),
            ("GET", f"/agents/{session}/current"), ("GET", "/sessions?deleted=true"), ("GET", "/runs/given-up"),
            ("DELETE", f"/sessions/{session}/rules"), ("DELETE", f"/sessions/{session}"),
            ("POST", f"/sessions/{session}/restore"), ("DELETE", f"/sessions/{session}?hard=true"),
        ):  # fmt: skip
            body = {"title": "T"} if method in ("POST", "PATCH") else None
            answer = await http.request(method, path, json=body, headers=OWNER)
            assert answer.status_code < 300, (method, path, answer.text)
        slow = f"#script\n{json.dumps([{'text': 'slow', 'sleep': 30}])}\nWait."
        waiting = asyncio.create_task(send(user_message(slow, agent_type="coder"), session := probe.session()))
        for _ in range(600):
            if engine.tasks:
                break
            await asyncio.sleep(0.05)
        assert (await http.post(f"/sessions/{session}/cancel", headers=OWNER)).json()["cancelled"]
        await waiting


@pytest.fixture(scope="module")
def used() -> Iterator[tuple[psycopg.Connection[Any], dict[str, Sent]]]:
    """A filled database, and the statements of a server that was used on it."""
    with (
        postgresql() as (server, meter),
        server.database() as db_url,
        psycopg.connect(db_url, autocommit=True) as connection,
    ):
        now = datetime.now(UTC)
        fill(connection, SESSIONS, EVENTS, now.isoformat(), (now + timedelta(days=1)).isoformat())
        meter.log_statements(on=True)
        before = len(log_of(connection))
        asyncio.run(use(db_url, connection))
        log = log_of(connection)[before:]
        meter.log_statements(on=False)
        connection.execute("set plan_cache_mode = force_generic_plan")  # as the connections of a server have it
        yield connection, statements_in(log)


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """The tables that a plan reads from end to end: by a scan, or by an index without a condition."""
    index = plan.get("Index Name")
    is_whole_index = index is not None and "Index Cond" not in plan and index not in MAY_BE_READ_WHOLE
    if plan["Node Type"] == "Seq Scan" or is_whole_index:
        yield str(plan.get("Relation Name", index))
    for part in plan.get("Plans", ()):
        yield from scans(part)


def names(connection: psycopg.Connection[Any], query: str) -> set[str]:
    return {name for (name,) in connection.execute(query.encode()).fetchall()}


def test_the_statements_of_all_that_is_done_are_recorded(used: tuple[Any, dict[str, Sent]]) -> None:
    texts = " ".join(used[1])
    assert len(used[1]) > 50, f"{len(used[1])} statements"
    parts = (
        "insert into runs", "skip locked", "set deleted_at", "delete from sessions", "insert into checkpoints",
        "from pg_locks", "state = 'pending'", "from messages", "row_number() over (order by seq)",
    )  # fmt: skip
    assert [part for part in parts if part not in texts] == [], "these were not recorded"


@pytest.mark.parametrize("planner", ["", "set enable_seqscan = off"])
def test_no_statement_reads_a_growing_table_from_end_to_end(
    used: tuple[psycopg.Connection[Any], dict[str, Sent]], planner: str
) -> None:
    """As planned with these statistics; and, for tables that are empty here, where an index can be used at all."""
    connection, sent = used
    connection.execute((planner or "reset enable_seqscan").encode())
    empty = names(connection, "select relname from pg_class where reltuples < 200 and relkind = 'r'")
    wrong = []
    for text, statement in sent.items():
        if any(part in text for part in WHOLE_TABLES):
            continue
        found = set(scans(statement.plan(connection))) - SMALL - (set() if planner else empty)
        if found:
            wrong.append(f"{found}: {' '.join(text.split())[:300]}")
    assert wrong == [], "\n".join(wrong)
