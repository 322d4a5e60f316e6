"""One session that cannot be stored, whatever the table: the others do not notice, and it works again afterwards."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from tests.chaos.poison import poison_tables, tables_of_sessions
from tests.databases import PostgresServer


@pytest.mark.timeout(300)
def test_sessions_poisoned_at_every_table_leave_fifty_others_alone(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        asyncio.run(poison_tables(url, seed=5, at_once=True)).show()


async def test_a_table_that_cannot_be_placed_is_noticed(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            known = await tables_of_sessions(connection)
            assert {"sessions", "runs", "events", "plans", "session_rules", "webhooks", "checkpoints"} <= set(known)
            await connection.execute("create table scores (session_id text)")
            assert await tables_of_sessions(connection) == known | {"scores": "session_id"}
            await connection.execute("create table rankings (place integer)")
            with pytest.raises(AssertionError, match="rankings"):
                await tables_of_sessions(connection)
