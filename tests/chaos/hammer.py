"""Many clients that talk to one session at the same time, at two instances."""

from __future__ import annotations

import asyncio

import psycopg

from tests.chaos.cluster import Cluster
from tests.chaos.facts import Report, check_history, deadlocks
from tests.chaos.ide import SurvivingIde, http_client

CLIENTS = 64


async def hammer(db_url: str, messages_each: int, seed: int) -> Report:
    """64 clients send their messages to one session: each is answered alone, in a history that holds them all."""
    async with Cluster(db_url, 2, seed, max_messages=1_000_000) as cluster, http_client() as client:
        session_id = f"hammer-{seed}"
        first = SurvivingIde(cluster, client, session_id, seed)
        status, _ = await first.post({"type": "user_message", "content": "0", "agent_type": "coder"})
        assert status == 200
        clients = [SurvivingIde(cluster, client, session_id, seed * 1000 + n) for n in range(CLIENTS)]
        streamed: list[str] = []
        watching = asyncio.create_task(_most_at_once(db_url, session_id))
        busy = sum(await asyncio.gather(*(_talk(ide, n, messages_each, streamed) for n, ide in enumerate(clients))))
        watching.cancel()
        async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
            history = await check_history(connection, session_id)
            assert await deadlocks(connection) == 0
    asked = [content for role, content in history if role == "user"]
    answers = [content for role, content in history if role == "assistant"]
    accepted = CLIENTS * messages_each - busy
    assert len(asked) == len(set(asked)) == accepted + 1, (
        f"{len(asked)} messages in the history, {accepted + 1} accepted"
    )
    assert [role for role, _ in history] == ["user", "assistant"] * (accepted + 1), "an answer stands elsewhere"
    assert sorted(streamed) == sorted(answers[1:]), "an answer was stored that nobody was shown, or the other way round"
    figures = {"clients": CLIENTS, "messages": CLIENTS * messages_each, "answered": accepted, "refused as busy": busy}
    return Report("One session, many clients", seed, {**figures, "answers not streamed": 0})


async def _talk(ide: SurvivingIde, number: int, messages: int, streamed: list[str]) -> int:
    """Send messages one after another: how many were refused as busy."""
    busy = 0
    for turn in range(messages):
        said = f"Answer {number} {turn}."
        content = f'#script\n[{{"text": "{said}", "delay": 0.001}}]\nMessage {number} {turn}.'
        status, events = await ide.post({"type": "user_message", "content": content})
        if status == 409:
            busy += 1
            continue
        assert status == 200, status
        chunks = [chunk for _, chunk in events]
        final = [chunk["content"] for chunk in chunks if chunk["type"] == "assistant_message" and chunk["is_final"]]
        assert final == [said], f"asked for {said!r}, got {chunks}"
        assert chunks[-1]["type"] == "done"
        streamed += final
    return busy


async def _most_at_once(db_url: str, session_id: str) -> None:
    query = "select count(*) from runs where session_id = %s and status = 'running'"
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        while True:
            row = await (await connection.execute(query, (session_id,))).fetchone()
            assert row is not None
            assert row[0] <= 1, f"{row[0]} runs at once"
            await asyncio.sleep(0.005)
