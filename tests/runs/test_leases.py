"""The lease of a worker is one row: what holds up one run ends no other's lease, and a frozen worker is replaced."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import psycopg
import pytest

from runs.engine import Engine
from storage.tables import runs
from storage.tables.runs import Run
from tests.chaos.cluster import Cluster, Instance
from tests.chaos.facts import check_view, table_log
from tests.chaos.ide import http_client
from tests.databases import PostgresServer
from tests.ide import STREAM, request_body, user_message
from tests.openai_stub import OpenAIStub
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


async def runs_driven(client: httpx.AsyncClient, instance: Instance) -> float:
    text = (await client.get(f"{instance.url}/metrics")).text
    found = re.search(r"^agent_runtime_active_runs(?:{.*})? ([\d.]+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


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

                await until(is_completed, 100)


BUSY = {"status": 503, "headers": {"Retry-After": "3"}}
THINKING = {"text": "word " * 100, "delay_s": 0.02, "tool": "calculator", "args": {"expr": "1 + 1"}}
CAUGHT = {
    "in a reply that ends while it sleeps": THINKING,
    "in a reply that ends after it has its lease again": {**THINKING, "text": "I compute", "hold_after": 3},
    "between two tries": BUSY,
}


@pytest.mark.parametrize("caught", CAUGHT)
async def test_a_frozen_worker_is_replaced_and_awake_again_writes_and_costs_nothing(
    postgres: PostgresServer, stub: OpenAIStub, caught: str
) -> None:
    stub.script([CAUGHT[caught], THINKING, {"text": "Done."}])
    settings: dict[str, Any] = {
        "llm_model": "scripted",
        "llm_proxy_url": stub.url,
        "multi_agent_mode": False,
        "llm_max_retries": 3,
    }
    message = user_message("Compute.", agent_type="universal")
    with postgres.database() as url:
        async with (
            Cluster(url, 2, **settings) as cluster,
            http_client() as client,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as reader,
        ):
            frozen, second = cluster.instances

            async def row(query: str) -> Any:
                return await (await reader.execute(query.encode())).fetchone()

            asking = asyncio.create_task(client.post(f"{frozen.url}{STREAM}", json=request_body(message, "s")))

            async def is_caught() -> bool:
                is_speaking = (await row("select count(*) > 1 from events"))[0]
                return stub.agent_calls == 1 and (is_speaking or caught == "between two tries")

            await until(is_caught, 60)
            worker = (await row("select worker from runs"))[0]
            await asyncio.sleep(1)  # what came of the answer to the first request is stored
            with frozen.frozen():

                async def is_closed() -> bool:
                    return bool(await row("select attempt from runs where status = 'completed'") == (2,))

                await until(is_closed, 40)
            tables = ("events", "messages", "llm_calls", "checkpoints")
            counts = f"select {', '.join(f'(select count(*) from {table})' for table in tables)}"
            before = await row(counts)

            async def has_its_lease() -> bool:
                is_held = f"select lease_until > extract(epoch from clock_timestamp()) from workers where id = {worker}"
                return bool(await row(is_held) == (True,))

            await until(has_its_lease, 60)
            stub.release()

            async def is_idle() -> bool:
                ready = await client.get(f"{frozen.url}/ready")
                return ready.status_code == 200 and await runs_driven(client, frozen) == 0

            await until(is_idle, 60)
            response = await asking
            assert response.status_code == 200
            assert '"outcome":"completed"' in response.text, "its reader sees the answer of the other worker"
            assert await row(counts) == before
            assert stub.agent_calls == 3, "one call is repeated by the other worker, none by the one that was frozen"
            check_view("s", await table_log(reader, "s"))
            assert (await client.get(f"{second.url}/ready")).status_code == 200
