"""What time does: approvals expire as denials, idle sessions hide and come back, long-deleted ones leave nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

from runs.engine import Engine
from runs.keep import housekeeping
from storage.database import stamp_in
from tests.databases import PostgresServer
from tests.runs.opened import opened
from tests.runs.test_cancel import active, log_of, until

WRITE = {"tool": "write_file", "args": {"path": "a.py", "content": ""}, "id": "c1"}
READ = {"tool": "read_file", "args": {"path": "a.py"}, "id": "c2"}
SOON_HOURS = 0.3 / 3600
WAITS_FOR_A_LOCK = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"


async def _execute(engine: Engine, statement: str) -> Any:
    async with engine.database.autocommit() as tx:
        cursor = await tx.connection.execute(statement)
        return await cursor.fetchall() if cursor.description else None


async def test_an_approval_expires_within_seconds_and_frees_the_session(db_url: str) -> None:
    async with opened(db_url, approval_expiry_hours=SOON_HOURS) as (engine, client):
        await client.play([WRITE])

        async def is_free() -> bool:
            return await active(engine) is None

        await until(is_free, within_s=5)
        shown = await log_of(client)
        assert '"code":"approval_expired"' in shown
        history = (await client.get("/sessions/s/history"))["messages"]
        assert history[-1]["content"].startswith("Nobody approved this call in time.")
        entries = (await client.get("/sessions/s/audit"))["entries"]
        assert "approval_expired" in [entry["event"] for entry in entries]
        status, chunks = await client.play([{"text": "Next."}])
        assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed")


async def test_a_decision_after_the_deadline_comes_too_late_even_before_the_clock(db_url: str) -> None:
    async with opened(db_url, approval_expiry_hours=24) as (engine, client):
        await client.play([WRITE])
        await _execute(engine, f"update tool_calls set expires_at = '{stamp_in(-0.001)}'")
        decision = {"type": "hitl_decision", "call_id": "c1", "decision": "approve"}
        status, [refusal] = await client.post(decision)
        assert (status, refusal["code"], refusal["state"]) == (409, "call_settled", "expired")
        assert await active(engine) is None


async def test_an_expired_call_waits_for_the_others_of_its_round(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        await client.play([{"tools": [WRITE, READ]}, {"text": "Both are settled."}])
        await _execute(engine, f"update tool_calls set expires_at = '{stamp_in(-0.001)}' where call_id = 'c1'")
        await housekeeping.expire_approvals(engine)
        run = await active(engine)
        assert run is not None
        assert run.status == "paused"
        _, chunks = await client.post({"type": "tool_result", "call_id": "c2", "result": "x"})
        assert chunks[-1]["metadata"]["outcome"] == "completed"
        history = (await client.get("/sessions/s/history"))["messages"]
        assert [m["role"] for m in history] == ["user", "assistant", "tool", "tool", "assistant"]


async def test_idle_sessions_hide_and_come_back_but_not_while_something_is_undecided(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        await client.play([{"text": "First."}], "idle")
        await client.play([WRITE], "undecided")
        await client.play([{"text": "First."}], "fresh")
        await _execute(engine, f"update sessions set last_activity = '{stamp_in(-25)}' where id <> 'fresh'")
        assert await housekeeping.sweep_idle(engine) == 1
        assert (await client.http.get("/sessions/idle/history")).status_code == 404
        assert (await client.http.get("/sessions/undecided/history")).status_code == 200
        status, chunks = await client.play([{"text": "Again."}], "idle")
        assert status == 200
        assert chunks[0]["type"] != "session_info"
        assert len((await client.get("/sessions/idle/history"))["messages"]) == 4


async def test_a_purge_leaves_nothing_of_a_session(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        await client.play([WRITE])
        await client.post({"type": "hitl_decision", "call_id": "c1", "decision": "reject"})
        await client.play([{"text": "Stays."}], "other")
        await client.http.delete("/sessions/s")
        await _execute(engine, f"update sessions set deleted_at = '{stamp_in(-24 * 31)}' where id = 's'")
        assert await housekeeping.purge_deleted(engine) == 1
        ours = ("runs", "events", "tool_calls", "messages", "plans", "session_rules", "audit_log", "llm_calls")
        kept: dict[str, list[Any]] = {}
        for table in ours:
            kept[table] = await _execute(engine, f"select session_id from {table} where session_id = 's'")
        theirs = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
        for table in theirs if db_url.startswith("postgresql") else ("checkpoints", "writes"):
            kept[table] = await _execute(engine, f"select thread_id from {table} where thread_id = 's'")
        assert not any(kept.values()), kept
        assert len((await client.get("/sessions/other/history"))["messages"]) == 2


async def test_a_session_that_is_restored_while_it_is_purged_stays(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with opened(url) as (engine, client), await psycopg.AsyncConnection.connect(url) as holder:
            await client.play([{"text": "Stays."}])
            await client.http.delete("/sessions/s")
            await _execute(engine, f"update sessions set deleted_at = '{stamp_in(-24 * 31)}'")
            await holder.execute("update sessions set deleted_at = null")
            purging = asyncio.create_task(housekeeping.purge_deleted(engine))

            async def is_waiting() -> bool:
                return bool(await _execute(engine, f"{WAITS_FOR_A_LOCK} and datname = current_database()"))

            await until(is_waiting)
            await holder.commit()
            assert await purging == 0
            assert len((await client.get("/sessions/s/history"))["messages"]) == 2


async def test_the_clock_of_two_instances_expires_once(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        await client.play([WRITE])
        await _execute(engine, f"update tool_calls set expires_at = '{stamp_in(-0.001)}'")
        await asyncio.gather(*(housekeeping.expire_approvals(engine) for _ in range(4)))
        entries = (await client.get("/sessions/s/audit"))["entries"]
        assert [entry["event"] for entry in entries].count("approval_expired") == 1
        assert (await log_of(client)).count('"code":"approval_expired"') == 1


REFUSALS = {
    "sqlite": """create trigger refuse_{event} before {event} on {table} when old.session_id = 'bad'
                 begin select raise(abort, 'refused'); end""",
    "postgresql": """create trigger refuse before {event} on {table} for each row when (old.session_id = 'bad')
                     execute function refuse()""",
}
FUNCTION = "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$"


async def test_a_session_that_cannot_be_written_holds_up_no_other_ones_housekeeping(db_url: str) -> None:
    async with opened(db_url, approval_expiry_hours=SOON_HOURS) as (engine, client):
        if engine.database.dialect == "postgresql":
            await _execute(engine, FUNCTION)
        for event, table in (("update", "tool_calls"), ("delete", "audit_log")):
            await _execute(engine, REFUSALS[engine.database.dialect].format(event=event, table=table))
        for session_id in ("bad", "good"):
            await client.play([{**WRITE, "id": f"c-{session_id}"}], session_id)

        async def is_expired() -> bool:
            rows = await _execute(engine, "select state from tool_calls where session_id = 'good'")
            return [row[0] for row in rows] == ["expired"]

        await until(is_expired)
        long_ago = stamp_in(-housekeeping.PURGE_AFTER_HOURS - 1)
        await _execute(engine, f"update sessions set deleted_at = '{long_ago}'")
        assert await housekeeping.purge_deleted(engine) == 1
        assert [row[0] for row in await _execute(engine, "select id from sessions")] == ["bad"]
        assert await housekeeping.purge_deleted(engine) == 0, "a round that removes nothing is the last one"
