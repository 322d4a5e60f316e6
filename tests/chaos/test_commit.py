"""A connection that breaks inside a commit: what was written is neither lost nor written again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg

from storage.tables import runs
from tests.chaos.facts import check_view, table_log
from tests.chaos.faulty_link import COMMIT_S, FaultyLink
from tests.databases import PostgresServer
from tests.ide import tool_result, user_message
from tests.runs.opened import opened
from tests.runs.test_cancel import until

WORDS = 40


def test_a_commit_whose_answer_is_lost_doubles_no_text(postgres: PostgresServer) -> None:
    with postgres.database() as db_url:
        asyncio.run(_cut_commit(db_url))


def test_requests_whose_commit_lost_its_answer_are_taken_once(postgres: PostgresServer) -> None:
    """A message and a result commit with the one statement that holds them."""
    with postgres.database() as db_url:
        asyncio.run(_lose_answers(db_url))


async def _lose_answers(db_url: str) -> None:
    link = FaultyLink(db_url)
    async with link.listening() as proxied, opened(proxied) as (engine, client):

        async def is_free() -> bool:
            async with engine.database.autocommit() as tx:
                run = await runs.active(tx, "s")
            return run is None or run.status == "paused"

        async def lost(message: dict[str, Any]) -> None:
            with link.broken_commit(arrives_first=True, statement=b"needle") as commit:
                sending = asyncio.create_task(client.post(message))
                async with asyncio.timeout(20):
                    await commit.has_broken.wait()
                    await asyncio.sleep(COMMIT_S)
                    commit.may_go_on.set()
                    assert (await sending)[0] == 503
            await until(is_free, 30)

        replies = [{"tool": "read_file", "args": {"path": "a"}, "id": "c1"}, {"text": "Read."}]
        await lost(user_message(f"#script\n{json.dumps(replies)}\nFind the needle.", agent_type="coder"))
        await lost(tool_result("c1", "needle"))
        assert (await client.post(tool_result("c1", "needle")))[0] == 200, "a result may be repeated"
        history = (await client.get("/sessions/s/history"))["messages"]
    assert [message["role"] for message in history] == ["user", "assistant", "tool", "assistant"]
    assert history[-1]["content"] == "Read."


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
