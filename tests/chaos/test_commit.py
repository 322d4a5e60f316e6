"""A connection that breaks inside COMMIT: what was written is neither lost nor written again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg

from tests.chaos.facts import check_view, table_log
from tests.chaos.faulty_link import FaultyLink
from tests.databases import PostgresServer
from tests.runs.opened import opened

WORDS = 40


def test_a_commit_whose_answer_is_lost_doubles_no_text(postgres: PostgresServer) -> None:
    with postgres.database() as db_url:
        asyncio.run(_cut_commit(db_url))


async def wait_for_blocked(connection: psycopg.AsyncConnection[Any]) -> None:
    """Wait until a statement waits for the row of a session that another transaction holds."""
    query = """select count(*) from pg_stat_activity
               where datname = current_database() and wait_event_type = 'Lock'
                 and query like '%from sessions%for update%'"""
    while (await (await connection.execute(query)).fetchone()) == (0,):  # noqa: ASYNC110 a table
        await asyncio.sleep(0.02)


async def _cut_commit(db_url: str) -> None:
    link = FaultyLink(db_url)
    async with (
        link.listening() as proxied,
        opened(proxied) as (_, client),
        await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection,
    ):
        replies = [{"repeat": "word ", "times": WORDS, "delay": 0.05}]
        content = f"#script\n{json.dumps(replies)}\nSpeak."
        message = {"type": "user_message", "content": content, "agent_type": "coder"}
        answer = asyncio.create_task(client.post(message))
        async with asyncio.timeout(20):
            while not any(chunk["token"] for _, chunk in await table_log(connection, "s")):  # noqa: ASYNC110 a table
                await asyncio.sleep(0.02)
            with link.broken_commit(arrives_first=False) as commit:
                await commit.has_broken.wait()
                await wait_for_blocked(connection)
        async with asyncio.timeout(60):
            status, chunks = await answer
        log = await table_log(connection, "s")
    assert status == 200
    assert chunks == [chunk for _, chunk in log]
    check_view("s", log)
    assert "".join(chunk["token"] or "" for _, chunk in log if not chunk["is_final"]) == "word " * WORDS
