"""The lease of a worker is one row: what holds up one run ends no other's lease, and a frozen worker is replaced."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import psycopg

from runs.engine import Engine
from storage.tables import runs
from storage.tables.runs import Run
from tests.chaos.cluster import Cluster
from tests.chaos.facts import check_view, table_log
from tests.chaos.ide import http_client
from tests.databases import PostgresServer
from tests.ide import STREAM, request_body, user_message
from tests.runs.opened import Client, opened
from tests.runs.test_cancel import until

SPEAKING = [{"repeat": "word ", "times": 200, "delay": 0.02}]


async def speaking(client: Client, engine: Engine, session_id: str) -> tuple[asyncio.Task[Any], Run]:
    """A run that streams its answer."""
    asking = asyncio.create_task(client.play(SPEAKING, session_id))

    async def running() -> Run | None:
        async with engine.database.autocommit() as tx:
            return await runs.active(tx, session_id)

    return asking, await until(running)


async def lease_of(connection: psycopg.AsyncConnection[Any], worker: int) -> float:
    row = await (await connection.execute("select lease_until from workers where id = %s", (worker,))).fetchone()
    return row[0] if row else 0.0


async def test_the_lease_is_renewed_while_the_row_of_a_run_is_locked(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with (
            opened(url) as (engine, client),
            await psycopg.AsyncConnection.connect(url) as holder,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as reader,
        ):
            asking, run = await speaking(client, engine, "locked")
            await holder.execute("select 1 from runs where id = %s for update", (run.id,))
            before = await lease_of(reader, engine.worker)

            async def is_renewed() -> bool:
                return await lease_of(reader, engine.worker) > before + 2

            await until(is_renewed)
            other, _ = await speaking(client, engine, "other")
            _, chunks = await other
            assert chunks[-1]["metadata"]["outcome"] == "completed"
            assert "restarted" not in str(chunks)
            await holder.rollback()
            assert (await asking)[1][-1]["metadata"]["outcome"] == "completed"


async def test_orphans_are_taken_over_past_one_whose_row_is_locked(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with opened(url) as (engine, client):
            for session_id in ("locked", "broken", "other"):
                asking, run = await speaking(client, engine, session_id)
                async with engine.database.autocommit() as tx:
                    await tx.connection.execute("update runs set worker = 1, lease_until = 0 where id = %s", (run.id,))
                engine.tasks[run.id].cancel()
                asking.cancel()
            async with await psycopg.AsyncConnection.connect(url) as holder:
                await holder.execute("select 1 from runs where session_id = 'locked' for update")
                async with await psycopg.AsyncConnection.connect(url, autocommit=True) as poisoner:
                    await poisoner.execute(
                        """create function refuse() returns trigger language plpgsql as
                           $$ begin raise exception 'refused'; end $$;
                           create trigger refuse before update on runs for each row
                           when (old.session_id = 'broken') execute function refuse()"""
                    )

                async def is_completed() -> bool:
                    history = (await client.get("/sessions/other/history"))["messages"]
                    return bool(history[-1]["role"] == "assistant")

                await until(is_completed, 20)


async def test_a_frozen_worker_is_replaced_and_writes_nothing_when_it_wakes(postgres: PostgresServer) -> None:
    replies = [{"repeat": "word ", "times": 150, "delay": 0.02}]
    message = user_message(f"#script\n{json.dumps(replies)}\nGo.", agent_type="coder")
    with postgres.database() as url:
        async with (
            Cluster(url, 2) as cluster,
            http_client() as client,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as reader,
        ):
            frozen, second = cluster.instances

            async def row(query: str) -> Any:
                return await (await reader.execute(query.encode())).fetchone()

            asking = asyncio.create_task(client.post(f"{frozen.url}{STREAM}", json=request_body(message, "s")))

            async def has_words() -> bool:
                return bool((await row("select count(*) > 2 from events"))[0])

            await until(has_words)
            os.kill(frozen._process.pid, signal.SIGSTOP)
            try:

                async def is_closed() -> bool:
                    return bool(await row("select attempt from runs where status = 'completed'") == (2,))

                await until(is_closed, 40)
            finally:
                os.kill(frozen._process.pid, signal.SIGCONT)
            tables = ("events", "messages", "llm_calls", "checkpoints")
            counts = f"select {', '.join(f'(select count(*) from {table})' for table in tables)}"
            before = await row(counts)

            async def is_awake() -> bool:
                return (await client.get(f"{frozen.url}/ready")).status_code == 200

            await until(is_awake, 20)
            response = await asking
            assert response.status_code == 200
            assert '"outcome":"completed"' in response.text, "its reader sees the answer of the other worker"
            assert await row(counts) == before
            check_view("s", await table_log(reader, "s"))
            assert (await client.get(f"{second.url}/ready")).status_code == 200
