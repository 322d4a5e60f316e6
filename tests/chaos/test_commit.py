"""A connection that breaks inside COMMIT: what was written is neither lost nor written again."""

from __future__ import annotations

import asyncio
import json

import psycopg

from tests.chaos.commit_proxy import CommitProxy, wait_for_blocked
from tests.chaos.facts import check_view, table_log
from tests.databases import PostgresServer
from tests.runs.opened import opened

WORDS = 40


def test_a_commit_whose_answer_is_lost_doubles_no_text(postgres: PostgresServer) -> None:
    with postgres.database() as db_url:
        asyncio.run(_cut_commit(db_url))


async def _cut_commit(db_url: str) -> None:
    proxy = CommitProxy(db_url)
    async with (
        proxy.listening() as proxied,
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
            proxy.arm()
            await proxy.has_cut.wait()
        await wait_for_blocked(db_url)
        proxy.may_commit.set()
        async with asyncio.timeout(60):
            status, chunks = await answer
        log = await table_log(connection, "s")
    assert status == 200
    assert chunks == [chunk for _, chunk in log]
    check_view("s", log)
    assert "".join(chunk["token"] or "" for _, chunk in log if not chunk["is_final"]) == "word " * WORDS
