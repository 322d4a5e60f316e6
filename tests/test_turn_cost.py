"""What a turn costs PostgreSQL: statements, commits and WAL, read from the server itself, within fixed counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from benchmarks.performance.loads import CHAT, RESULT, TOOL, script
from benchmarks.performance.processes import Cost, Meter, postgresql
from storage.statements import statements
from tests.databases import PostgresServer
from tests.ide import tool_result, user_message
from tests.runs.opened import Client, opened

WRITE_CALL = script({"tool": "write_file", "args": {"path": "a.py", "content": "a"}, "id": "c1"}, {"text": "Done."})
TURNS = 10
MOST = {"chat": Cost(7, 4, 8_200, 0), "tool": Cost(13, 7, 19_000, 0), "implicit": Cost(15, 7, 19_500, 0)}
"""A turn of each kind; heartbeats may fall into its commits and WAL, its statements are counted without them."""
BACKGROUND = ("renew_lease", "running_runs_of", "orphaned_runs", "sessions_with_expired_calls", "due_webhooks")
"""Named statements of heartbeats and housekeeping: on a slow machine more of them fall into a turn."""


async def chat(client: Client, session_id: str) -> None:
    status, chunks = await client.post(user_message(CHAT, agent_type="coder"), session_id)
    assert (status, chunks[-1]["type"]) == (200, "done")


async def tool(client: Client, session_id: str) -> None:
    _, chunks = await client.post(user_message(TOOL, agent_type="coder"), session_id)
    calls = [chunk["call_id"] for chunk in chunks if chunk["type"] == "tool_call"]
    status, chunks = await client.post(tool_result(calls[0], RESULT), session_id)
    assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed")


async def implicit(client: Client, session_id: str) -> None:
    """A write whose result comes without a decision: it is approved and settled by one request."""
    _, chunks = await client.post(user_message(WRITE_CALL, agent_type="coder"), session_id)
    calls = [chunk["call_id"] for chunk in chunks if chunk["type"] == "tool_call"]
    status, chunks = await client.post(tool_result(calls[0], RESULT), session_id)
    assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed")


PLAY: dict[str, Callable[[Client, str], Awaitable[None]]] = {"chat": chat, "tool": tool, "implicit": implicit}


def of_turns(logged: list[str]) -> list[str]:
    """The statements that no heartbeat sends."""
    named = statements("postgresql")
    background = tuple(getattr(named, name).sql.splitlines()[0].split("%(")[0] for name in BACKGROUND)
    return [line for line in logged if not line.startswith(background)]


@pytest.mark.parametrize("kind", MOST)
def test_a_turn_costs_no_more_than_this(kind: str) -> None:
    async def run(db_url: str, meter: Meter) -> tuple[Cost, list[str]]:
        async with opened(db_url) as (_, client):
            for number in range(3):
                await PLAY[kind](client, f"warm-up-{number}")
            before, seen = meter.read(), len(meter.statements())
            for number in range(TURNS):
                await PLAY[kind](client, f"s{number}")
            return meter.read() - before, of_turns(meter.statements()[seen:])

    with postgresql() as (server, meter), server.database() as db_url:
        meter.log_statements(on=True)
        (spent, sent), most = asyncio.run(run(db_url, meter)), MOST[kind]
    each = [value / TURNS for value in (len(sent), spent.commits, spent.wal_bytes)]
    assert 0 < each[0] <= most.statements, f"statements: {each}\n" + "\n".join(sent)
    assert 0 < each[1] <= most.commits, f"commits: {each}"
    assert 0 < each[2] <= most.wal_bytes, f"WAL bytes: {each}"


def test_a_result_without_a_decision_is_one_transaction_with_its_approval(postgres: PostgresServer) -> None:
    async def run(db_url: str) -> None:
        async with opened(db_url) as (_, client):
            await implicit(client, "s")

    with postgres.database() as db_url:
        asyncio.run(run(db_url))
        with psycopg.connect(db_url) as connection:
            row = connection.execute(
                "select calls.xmin = audit.xmin, calls.state, calls.decision from tool_calls calls"
                " join audit_log audit on audit.call_id = calls.call_id and audit.event = 'approval_implicit'"
            ).fetchone()
    assert row == (True, "done", "implicit_approve")
