"""Locked tables, silent servers and full files: requests are refused while it lasts, and readiness says so."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import psycopg
import pytest

from benchmarks.performance.loads import RESULT, TOOL
from tests.chaos.faulty_link import Direction, Fault, FaultyLink
from tests.databases import PostgresServer
from tests.ide import tool_result, user_message
from tests.runs.opened import Client, opened

CLIENTS = 64
PATIENCE_S = 20
"""The lock is held until the answers are there: without a bound of their own they would never come."""


async def refused(client: Client, *, ready: int) -> None:
    """A new message is refused for now, and readiness knows."""
    async with asyncio.timeout(PATIENCE_S):
        message = {"type": "user_message", "content": "x" * 200_000, "agent_type": "ask"}
        body = {"session_id": "s", "protocol_version": 2, "message": message}
        response = await client.http.post("/agent/message/stream", json=body)
        assert (response.status_code, response.json()["code"]) == (503, "not_ready"), response.text
        assert int(response.headers["retry-after"]) > 0
        assert (await client.http.get("/ready")).status_code == ready


async def served(client: Client) -> None:
    assert (await client.http.get("/ready")).status_code == 200
    assert (await client.play([{"text": "Back."}]))[0] == 200


@pytest.mark.parametrize(
    ("table", "mode"),
    [("sessions", "access exclusive"), ("runs", "share"), ("events", "exclusive"), ("messages", "share")],
)
def test_a_locked_table_is_503(postgres: PostgresServer, table: str, mode: str) -> None:
    async def run(db_url: str) -> None:
        async with opened(db_url) as (_, client):
            async with await psycopg.AsyncConnection.connect(db_url) as other:
                await other.execute(f"lock table {table} in {mode} mode".encode())
                await refused(client, ready=503)
            await served(client)

    with postgres.database() as db_url:
        asyncio.run(run(db_url))


def test_a_slow_statement_is_503(postgres: PostgresServer) -> None:
    slow = """create function wait() returns trigger language plpgsql
              as $$ begin perform pg_sleep(60); return new; end $$;
              create trigger wait before insert on runs for each row execute function wait()"""

    async def run(db_url: str) -> None:
        async with (
            opened(db_url) as (_, client),
            await psycopg.AsyncConnection.connect(db_url, autocommit=True) as other,
        ):
            await other.execute(slow)
            await refused(client, ready=200)
            await other.execute("drop trigger wait on runs")
            await served(client)

    with postgres.database() as db_url:
        asyncio.run(run(db_url))


@pytest.mark.parametrize("direction", ["requests", "answers"])
def test_a_server_that_says_nothing_is_503(postgres: PostgresServer, direction: Direction) -> None:
    """As when it is frozen: its connections stay open, and no timeout of its own ends a statement."""

    async def run(db_url: str) -> None:
        link = FaultyLink(db_url)
        async with link.listening() as behind_link, opened(behind_link) as (_, client):
            async with link.fault(Fault(direction, is_lost=True)):
                await refused(client, ready=503)
            await served(client)

    with postgres.database() as db_url:
        asyncio.run(run(db_url))


def test_a_locked_file_is_503(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(f"sqlite:///{tmp_path}/t.db") as (_, client):
            other = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
            other.execute("begin immediate")
            await refused(client, ready=503)
            other.execute("rollback")
            other.close()
            await served(client)

    asyncio.run(run())


def test_a_full_file_is_503(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(f"sqlite:///{tmp_path}/t.db") as (engine, client):
            async with engine.database.autocommit() as tx:
                await tx.connection.execute("pragma max_page_count = 1")
            await refused(client, ready=503)
            async with engine.database.autocommit() as tx:
                await tx.connection.execute("pragma max_page_count = 1000000")
            await served(client)

    asyncio.run(run())


def test_every_one_of_many_clients_of_a_file_is_served(tmp_path: Path) -> None:
    async def turn(client: Client, session_id: str) -> str:
        _, chunks = await client.post(user_message(TOOL, agent_type="coder"), session_id)
        calls = [chunk["call_id"] for chunk in chunks if chunk["type"] == "tool_call"]
        assert calls, chunks
        _, chunks = await client.post(tool_result(calls[0], RESULT), session_id)
        return str(chunks[-1].get("metadata", chunks[-1]))

    async def run() -> list[str]:
        async with opened(f"sqlite:///{tmp_path}/t.db") as (_, client):
            return await asyncio.gather(*(turn(client, f"s{number}") for number in range(CLIENTS)))

    ends = asyncio.run(run())
    assert [end for end in ends if "completed" not in end] == []
