"""Sessions that a table of the database refuses, one at each table, beside others that must not notice."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import psycopg
from psycopg import sql

from tests.chaos.cluster import Cluster
from tests.chaos.facts import Report, check_history, check_view, table_log
from tests.chaos.ide import SurvivingIde, http_client
from tests.ide import Chunk, hitl_decision, of_type, tool_result, user_message

OTHERS = 50
AT_ONCE = 10
"""So many of the others at a time: their own load refuses nobody."""
PAUSE_S = 0.5
"""Between two tours of a poisoned session: what is refused at once shall not be a load of its own."""
FREE_S = 60.0
OF_A_SESSION = {"session_id", "thread_id"}
"""The columns that name the session of a row; in `sessions` it is `id`."""
OF_NO_SESSION = {"alembic_version", "schema_compatibility", "checkpoint_migrations", "workers", "console_logins"}
COLUMNS = """select table_name, column_name from information_schema.columns
             join information_schema.tables using (table_schema, table_name)
             where table_schema = current_schema() and table_type = 'BASE TABLE' order by 1, 2"""
REFUSE = """create or replace function refuse() returns trigger language plpgsql as $$
            begin perform nextval('refused_' || tg_table_name); raise exception 'the quota is reached'; end $$"""
LOOK: list[dict[str, Any]] = [
    {"repeat": "word ", "times": 20, "delay": 0.02, "tool": "read_file", "args": {"path": "a"}},
    {"text": "Read."},
]
RUN: list[dict[str, Any]] = [
    {"repeat": "word ", "times": 20, "delay": 0.02, "tool": "execute_command", "args": {"command": "dart analyze"}},
    {"text": "Analyzed."},
]
SUBTASK = {"title": "Form", "description": "A form", "agent": "coder", "estimated_time_minutes": 5, "dependencies": []}
PLAN: list[dict[str, Any]] = [
    {"tool": "create_plan", "args": {"title": "Login", "description": "A form", "subtasks": [SUBTASK]}}
]
BASH = {"shell": "bash", "os": "linux"}
SETTINGS: dict[str, Any] = {
    "run_max_attempts": 2,
    "webhook_url": "http://127.0.0.1:9/",
    "webhook_secret": "0123456789abcdef",
    "webhook_allow_private": True,
    "budget_tokens_per_session": 1_000_000_000,
}
"""Nobody listens there: what is to be told stays in its table. A budget lets each model call write what it spent."""


async def poison_tables(db_url: str, seed: int, *, at_once: bool, others: int = OTHERS) -> Report:
    """Refuse one session per table what it writes there, in turn or `at_once`, while `others` have their turns."""
    slowest = 0.0
    async with (
        Cluster(db_url, 1, seed, **SETTINGS) as cluster,
        http_client() as client,
        await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection,
    ):
        tables = await tables_of_sessions(connection)
        await connection.execute(REFUSE)
        refused: dict[str, int] = {}
        for together in [tables] if at_once else [{table: column} for table, column in tables.items()]:
            bad = {table: SurvivingIde(cluster, client, f"bad-{table}", seed) for table in together}
            await asyncio.gather(*(_say(ide, [{"text": "Well."}]) for ide in bad.values()))
            for table, column in together.items():
                await _poison(connection, table, column)
            good = [SurvivingIde(cluster, client, f"good-{'-'.join(bad)[:40]}-{n}", seed) for n in range(others)]
            began = time.monotonic()
            stopped, places = asyncio.Event(), asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for ide in bad.values():
                    group.create_task(_tours(ide, stopped))
                await asyncio.gather(*(_unaffected(ide, places) for ide in good))
                slowest = max(slowest, time.monotonic() - began)
                stopped.set()
            for table in together:
                refused[table] = await _cure(connection, table)
            await asyncio.gather(*(_well_again(connection, ide) for ide in bad.values()))
            for ide in good:
                check_view(ide.session_id, await table_log(connection, ide.session_id))
                await check_history(connection, ide.session_id)
    never = [table for table, count in refused.items() if not count]
    assert not never, f"the tour of a poisoned session writes nothing to {never}: add a step to it"
    figures = {
        "tables": len(tables),
        "statements refused": sum(refused.values()),
        "other sessions beside each": others,
        "other sessions affected": 0,
        "slowest round of the others s": round(slowest, 2),
        "poisoned sessions that work again after it": len(tables),
    }
    name = "One session poisoned at every table" + (" at once" if at_once else " in turn")
    return Report(name, seed, figures)


async def tables_of_sessions(connection: psycopg.AsyncConnection[Any]) -> dict[str, str]:
    """Every table with rows of sessions, and the column that names the session; fails for a table it cannot place."""
    columns: dict[str, set[str]] = {}
    for table, column in await (await connection.execute(COLUMNS)).fetchall():
        columns.setdefault(table, set()).add(column)
    unknown = [t for t, names in columns.items() if not names & OF_A_SESSION | {t} & (OF_NO_SESSION | {"sessions"})]
    assert not unknown, f"of which session are the rows of {unknown}? Name the column in OF_A_SESSION, or OF_NO_SESSION"
    placed = {t: "id" if t == "sessions" else next(iter(columns[t] & OF_A_SESSION), "") for t in columns}
    return {table: column for table, column in placed.items() if column and table not in OF_NO_SESSION}


async def _poison(connection: psycopg.AsyncConnection[Any], table: str, column: str) -> None:
    for statement in (
        "create sequence {counter} minvalue 0 start 0",
        "select nextval({name})",
        """create trigger refuse before insert or update on {table} for each row
           when (new.{column} = {session}) execute function refuse()""",
    ):
        names: dict[str, sql.Composable] = {
            "counter": sql.Identifier(f"refused_{table}"),
            "name": sql.Literal(f"refused_{table}"),
            "table": sql.Identifier(table),
            "column": sql.Identifier(column),
            "session": sql.Literal(f"bad-{table}"),
        }
        await connection.execute(sql.SQL(statement).format(**names))


async def _cure(connection: psycopg.AsyncConnection[Any], table: str) -> int:
    """Let the table take everything again: how many statements it had refused."""
    await connection.execute(sql.SQL("drop trigger refuse on {}").format(sql.Identifier(table)))
    counter = sql.SQL("select last_value from {}").format(sql.Identifier(f"refused_{table}"))
    row = await (await connection.execute(counter)).fetchone()
    assert row is not None
    return int(row[0])


async def _say(ide: SurvivingIde, replies: list[dict[str, Any]], agent: str = "coder") -> tuple[int, list[Chunk]]:
    content = f"#script\n{json.dumps(replies)}\nGo."
    status, events = await ide.post(user_message(content, agent_type=agent, environment=BASH))
    return status, [chunk for _, chunk in events]


async def _tours(ide: SurvivingIde, stopped: asyncio.Event) -> None:
    await _tour(ide)
    while not stopped.is_set():
        await asyncio.sleep(PAUSE_S)
        await _tour(ide)


async def _tour(ide: SurvivingIde) -> None:
    """Do what writes to every table, as far as the poisoned table lets it come."""
    _, chunks = await _say(ide, RUN)
    for call in of_type(chunks, "tool_call"):
        if call["requires_approval"]:
            [option, *_] = call["metadata"]["remember_options"]
            remember = {"remember": "session", "remember_option": option["id"]}
            await ide.post(hitl_decision(call["call_id"], "approve", **remember))
        await ide.post(tool_result(call["call_id"], "No issues."))
    await _say(ide, PLAN, agent="architect")


async def _unaffected(ide: SurvivingIde, places: asyncio.Semaphore) -> None:
    """A turn with a call, as it is when nothing is wrong."""
    async with places:
        await _turn(ide)


async def _turn(ide: SurvivingIde) -> None:
    status, asked = await _say(ide, LOOK)
    assert status == 200, f"{ide.session_id}: {status} {ide.refusal}"
    assert asked[-1]["metadata"]["outcome"] == "awaiting_tool", f"{ide.session_id}: {asked}"
    [call] = of_type(asked, "tool_call")
    status, events = await ide.post(tool_result(call["call_id"], "text"))
    answered = [chunk for _, chunk in events]
    assert status == 200, f"{ide.session_id}: {status} {ide.refusal}"
    assert answered[-1]["metadata"]["outcome"] == "completed", f"{ide.session_id}: {answered}"
    told = [chunk["metadata"] for chunk in of_type([*asked, *answered], "status")]
    assert not any((metadata or {}).get("status") == "restarted" for metadata in told), f"{ide.session_id}: {told}"


async def _well_again(connection: psycopg.AsyncConnection[Any], ide: SurvivingIde) -> None:
    """The session that was poisoned is free after a time, and takes a message as if nothing had been."""
    deadline = time.monotonic() + FREE_S
    query = "select count(*) from runs where session_id = %s and status = 'running'"
    while await (await connection.execute(query, (ide.session_id,))).fetchone() != (0,):
        assert time.monotonic() < deadline, f"{ide.session_id} is not free after {FREE_S} s"
        await asyncio.sleep(0.05)
    status, chunks = await _say(ide, [{"text": "Well again."}])
    assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed"), f"{ide.session_id}: {status} {chunks}"
    await check_history(connection, ide.session_id)
