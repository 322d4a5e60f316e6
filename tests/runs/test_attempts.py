"""A run that cannot be stored is tried a limited number of times, then has failed; a cancel or a hard delete wins."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg
import pytest

from errors import StorageRefused
from runs.engine import Engine
from storage.database import Patience
from storage.tables import runs
from tests.client.test_cli import agent_runtime
from tests.databases import PostgresServer
from tests.openai_stub import OpenAIStub
from tests.runs.opened import Client, opened
from tests.runs.test_cancel import active, until

REFUSE = """create or replace function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'the quota is reached'; end $$"""
TABLES = {
    "sessions": ("id", "update"),
    "runs": ("session_id", "update"),
    "events": ("session_id", "insert"),
    "messages": ("session_id", "insert"),
    "audit_log": ("session_id", "insert"),
    "tool_calls": ("session_id", "insert"),
    "llm_calls": ("session_id", "insert"),
    "checkpoints": ("thread_id", "insert"),
    "checkpoint_blobs": ("thread_id", "insert"),
    "checkpoint_writes": ("thread_id", "insert"),
}
"""What a turn with a call writes, and the column that names its session."""
SLOW = {"text": "Look.", "tool": "read_file", "args": {"path": "a"}, "silent_s": 1.0}


async def poison(url: str, table: str) -> None:
    """Refuse what the session `bad` writes to a table."""
    column, event = TABLES[table]
    row = "old" if event == "update" else "new"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(REFUSE)
        statement = f"""create trigger refuse before {event} on {table} for each row
                        when ({row}.{column} = 'bad') execute function refuse()"""
        await connection.execute(statement.encode())


async def cure(url: str, table: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"drop trigger refuse on {table}".encode())


def modelled(stub: OpenAIStub) -> dict[str, Any]:
    stub.responder = lambda _: SLOW
    return {"llm_model": "scripted", "llm_proxy_url": stub.url}


async def asked(client: Client, session_id: str) -> tuple[int, list[dict[str, Any]]]:
    return await client.post({"type": "user_message", "content": "Look.", "agent_type": "coder"}, session_id)


async def run_of(engine: Engine, session_id: str) -> runs.Run | None:
    async with engine.database.autocommit() as tx:
        return await runs.active(tx, session_id)


async def started(engine: Engine, client: Client, stub: OpenAIStub) -> asyncio.Task[Any]:
    """A run of the session `bad` whose model is asked."""
    asking = asyncio.create_task(asked(client, "bad"))

    async def is_asked() -> bool:
        return stub.agent_calls > 0 and await run_of(engine, "bad") is not None

    await until(is_asked)
    return asking


async def test_a_run_whose_events_cannot_be_stored_is_given_up(postgres: PostgresServer, stub: OpenAIStub) -> None:
    with postgres.database() as url:
        async with opened(url, **modelled(stub)) as (engine, client):
            asking = await started(engine, client, stub)
            await poison(url, "events")

            async def is_over() -> bool:
                return await run_of(engine, "bad") is None

            await until(is_over, 60)
            assert stub.agent_calls == 5
            _, chunks = await asking
            assert [chunk["type"] for chunk in chunks[-2:]] == ["error", "done"]
            assert "send the message again" in chunks[-2]["content"] + str(chunks[-2]["error"])
            [told] = (await client.get("/runs/given-up"))["runs"]
            assert (told["session_id"], told["attempts"]) == ("bad", 5)
            assert "the quota is reached" in told["reason"]
            listed = await asyncio.to_thread(agent_runtime, "given-up", AGENT_RUNTIME__DB_URL=url)
            [line] = [json.loads(line) for line in listed.stdout.splitlines()]
            assert line == told | {"owner": ""}, "the operator's list names the owner too"
            await cure(url, "events")
            stub.responder = lambda _: {"text": "Well again."}
            assert (await asked(client, "bad"))[1][-1]["metadata"]["outcome"] == "completed"


@pytest.mark.parametrize("how", ["cancel", "hard delete"])
async def test_stopping_wins_over_a_run_that_cannot_be_stored(
    postgres: PostgresServer, stub: OpenAIStub, how: str
) -> None:
    with postgres.database() as url:
        async with opened(url, **modelled(stub)) as (engine, client):
            asking = await started(engine, client, stub)
            await poison(url, "events")

            async def has_failed_once() -> bool:
                run = await run_of(engine, "bad")
                return run is not None and run.tries > 0

            await until(has_failed_once, 20)
            if how == "cancel":
                assert (await client.http.post("/sessions/bad/cancel")).json()["cancelled"] is True
            else:
                assert (await client.http.delete("/sessions/bad?hard=true")).status_code == 200
                async with engine.database.autocommit() as tx:
                    for table, (column, _) in TABLES.items():
                        cursor = await tx.connection.execute(f"select count(*) from {table} where {column} = 'bad'")
                        assert (await cursor.fetchone())[0] == 0, table
            assert await run_of(engine, "bad") is None
            await asking


async def test_a_cancel_wins_over_a_run_that_cannot_be_taken_over(postgres: PostgresServer, stub: OpenAIStub) -> None:
    with postgres.database() as url:
        async with opened(url, **modelled(stub)) as (engine, client):
            asking = await started(engine, client, stub)
            run = await run_of(engine, "bad")
            assert run is not None
            engine.tasks[run.id].cancel()
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute("update runs set worker = 1, lease_until = 0")
                await connection.execute(REFUSE)
                await connection.execute(
                    """create trigger refuse before update on runs for each row
                       when (old.worker is distinct from new.worker) execute function refuse()"""
                )
            answer = await client.http.post("/sessions/bad/cancel")
            assert (answer.status_code, answer.json()["cancelled"]) == (200, True), answer.text
            _, chunks = await asking
            assert chunks[-1]["metadata"]["outcome"] == "cancelled"
            await cure(url, "runs")
            stub.responder = lambda _: {"text": "Well again."}
            assert (await asked(client, "bad"))[1][-1]["metadata"]["outcome"] == "completed"


@pytest.mark.parametrize("table", TABLES)
async def test_one_session_that_cannot_be_stored_leaves_the_others_alone(
    postgres: PostgresServer, stub: OpenAIStub, table: str
) -> None:
    with postgres.database() as url:
        async with opened(url, run_max_attempts=2, **modelled(stub)) as (engine, client):
            asking = await started(engine, client, stub)
            await poison(url, table)
            others = await asyncio.gather(*(asked(client, f"good-{number}") for number in range(10)))
            assert [chunks[-1]["metadata"]["outcome"] for _, chunks in others] == ["awaiting_tool"] * 10
            assert not any("restarted" in str(chunks) for _, chunks in others)
            if table == "runs":  # nothing can be noted about the run before its row is well again
                await cure(url, table)

            async def is_free() -> bool:
                run = await run_of(engine, "bad")
                return run is None or run.status == "paused"

            await until(is_free, 40)
            if table != "runs":
                await cure(url, table)
            _, chunks = await asking
            assert chunks[-1]["type"] == "done"
            stub.responder = lambda _: {"text": "Well again."}
            assert (await asked(client, "bad"))[1][-1]["metadata"]["outcome"] == "completed"
            assert await active(engine) is None


async def test_only_a_database_that_serves_others_ends_the_patience(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with opened(url) as (engine, _):
            patience = Patience(engine.database, refused_s=0.5)
            async with await psycopg.AsyncConnection.connect(url) as holder:
                await holder.execute("lock table sessions in access exclusive mode")
                for _ in range(3):  # each wait takes longer than the patience
                    await patience.wait()

            async def wait_out() -> None:
                for _ in range(100):
                    await patience.wait()

            with pytest.raises(StorageRefused):
                await wait_out()
