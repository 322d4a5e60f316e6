"""A batch: everything of it is written, or nothing, and only while its session stands as it was read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from psycopg.rows import dict_row

from state import AgentState
from storage.checkpoints import Checkpoints
from storage.connect import open_database
from storage.database import Database
from storage.session_state import Batch, NewEvents, SessionChange, read_state
from storage.tables import audit, events, messages, runs
from storage.tables.audit import AuditEntry
from storage.tables.messages import MessageRecord
from storage.tables.runs import Run
from tests.databases import PostgresServer

RUN = Run("run-1", "s", "r", {}, "running", 7, 1, 2, cancel_requested=False, error=None)
TABLES = ("sessions", "runs", "events", "messages", "audit_log", "checkpoints", "checkpoint_writes")


@asynccontextmanager
async def with_run(db_url: str) -> AsyncIterator[Database]:
    """A database with one session and its running run."""
    database = await open_database(db_url)
    try:
        async with database.transaction() as tx:
            batch = Batch(tx, "s")
            await messages.append(batch, "s", [MessageRecord("m1", "user", "Hello")], ahead=2)
            said = NewEvents("r", ["one", "two"])
            assert await batch.write(SessionChange(creates_for="", title="Hello"), said, runs.start(RUN)) == 2
        yield database
    finally:
        await database.close()


async def written(database: Database) -> dict[str, Any]:
    """Every row."""
    found = {}
    async with database.autocommit() as tx:
        for table in TABLES:
            if tx.dialect == "postgresql" or not table.startswith("checkpoint"):
                cursor = await tx.connection.execute(f"select * from {table}")
                found[table] = await cursor.fetchall()
    return found


async def leave(database: Database, run: Run, seen: str | None = None) -> int | None:
    """Close a run with a message, an audit entry and an event."""
    async with database.transaction() as tx:
        batch = Batch(tx, "s")
        await messages.append(batch, "s", [MessageRecord("m2", "assistant", "Hi")], run_id=run.id)
        await audit.append(batch, "s", [AuditEntry("cancelled")])
        change = SessionChange(seen=seen, agent="coder", chosen_by="user", switches=1, is_active=True)
        return await batch.write(change, NewEvents("r", ["three"], run.id), runs.close(run, "completed"))


async def test_all_of_a_batch_is_written_at_its_place(db_url: str) -> None:
    async with with_run(db_url) as database:
        assert await leave(database, RUN) == 3
        async with database.autocommit() as tx:
            state = await read_state(tx, "s")
            placed = await messages.page(tx, "s", 10, 0)
            log = await events.read(tx, "s", 0)
            entries = await audit.listing(tx, "s", 10, 0)
    assert state.session is not None
    assert (state.session.title, state.session.current_agent, state.session.switch_count) == ("Hello", "coder", 1)
    assert state.run is None
    assert state.newest is not None
    assert (state.newest.id, state.newest.status) == ("run-1", "completed")
    assert [(m.position, m.after_seq, m.message.id) for m in placed] == [(1, None, "m1"), (2, 3, "m2")]
    assert [event.packed for event in log] == ["one", "two", "three"]
    assert [entry["event"] for entry in entries] == ["cancelled"]


async def test_nothing_of_a_batch_is_written_for_a_run_that_was_taken_over(db_url: str) -> None:
    async with with_run(db_url) as database:
        before = await written(database)
        assert await leave(database, replace(RUN, attempt=2)) is None
        assert await written(database) == before


async def test_nothing_of_a_batch_is_written_where_the_id_is_taken(db_url: str) -> None:
    async with with_run(db_url) as database:
        before = await written(database)
        async with database.transaction() as tx:
            batch = Batch(tx, "s")
            await messages.append(batch, "s", [MessageRecord("m3", "user", "Mine")])
            other = replace(RUN, id="run-2")
            assert await batch.write(SessionChange(creates_for="other"), NewEvents("r", []), runs.start(other)) is None
        assert await written(database) == before


def test_a_session_that_has_changed_since_it_was_read_is_not_written(postgres: PostgresServer) -> None:
    with postgres.database() as db_url:
        asyncio.run(_write_on_an_old_version(db_url))


async def _write_on_an_old_version(db_url: str) -> None:
    async with with_run(db_url) as database, await psycopg.AsyncConnection.connect(db_url) as other:
        async with database.autocommit() as tx:
            state = await read_state(tx, "s")
        # The other transaction holds the row while the batch begins, and commits while it waits.
        await other.execute("update sessions set title = 'Other' where id = 's'")
        writing = asyncio.create_task(leave(database, RUN, state.seen))
        async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as watching:
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            async with asyncio.timeout(20):
                while (await (await watching.execute(waiting)).fetchone()) == (0,):  # noqa: ASYNC110 a table
                    await asyncio.sleep(0.01)
        await other.commit()
        assert await writing is None
        before = await written(database)
        assert await leave(database, RUN, state.seen) is None, "the row that was read is gone"
        assert await written(database) == before
        async with database.autocommit() as tx:
            state = await read_state(tx, "s")
        assert await leave(database, RUN, state.seen) == 3


async def _speak(given: Any) -> dict[str, Any]:
    number = len(given["messages"])
    return {"messages": [AIMessage("Hello", id=f"a{number}")], "turn": {"model_calls": number}}


async def _ask(_: Any) -> dict[str, Any]:
    return {"messages": [HumanMessage(interrupt("Well?"), id="answer")]}


def test_langgraphs_own_saver_reads_what_a_batch_writes(postgres: PostgresServer) -> None:
    with postgres.database() as db_url:
        asyncio.run(_read_by_the_stock_saver(db_url))


async def _read_by_the_stock_saver(db_url: str) -> None:
    graph: Any = StateGraph(AgentState)
    graph.add_node("speak", _speak)
    graph.add_node("ask", _ask)
    graph.add_edge(START, "speak")
    graph.add_edge("speak", "ask")
    config: Any = {"configurable": {"thread_id": "s"}}
    async with with_run(db_url) as database:
        checkpoints, run = Checkpoints(database), RUN
        compiled = graph.compile()
        for number in (1, 2):
            saver = checkpoints.saver()
            given = {"messages": [HumanMessage("Hi", id=f"u{number}")]}
            await compiled.copy({"checkpointer": saver}).ainvoke(given, config, durability="exit")
            async with database.transaction() as tx:
                batch = Batch(tx, "s")
                await saver.store(batch)
                assert await batch.write(SessionChange(), NewEvents("r", []), runs.close(run, "completed")) == 2
                run = replace(run, id=f"run-{number + 1}")
                assert await Batch(tx, "s").write(SessionChange(), NewEvents("r", []), runs.start(run)) == 2
        options: Any = {"autocommit": True, "row_factory": dict_row}
        async with await psycopg.AsyncConnection.connect(db_url, **options) as connection:
            stock = AsyncPostgresSaver(connection)
            seen = await compiled.copy({"checkpointer": stock}).aget_state(config)
    assert [message.id for message in seen.values["messages"]] == ["u1", "a1", "u2", "a3"]
    assert seen.values["turn"] == {"model_calls": 3}
    assert [task.interrupts[0].value for task in seen.tasks] == ["Well?"]
