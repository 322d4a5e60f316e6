"""Faults of the database: restarted, paused, with locked rows and tables, with triggers that fail or take long."""

from __future__ import annotations

from psycopg import sql

from tests.chaos.faults.world import Fault, World
from tests.chaos.witness import WitnessIde

REFUSED = ("events", "messages", "runs", "tool_calls", "llm_calls", "audit_log", "sessions")
LOCKED = ("events", "messages", "runs", "tool_calls")
REFUSE = "begin raise exception 'refused'; end"
LINGER = "begin perform pg_sleep(0.6); return new; end"


async def restart(world: World) -> None:
    """PostgreSQL restarted"""
    await world.postgres.stop()
    await world.hold(0.0, 1.5)
    await world.postgres.start()


async def pause(world: World) -> None:
    """PostgreSQL frozen"""
    with world.postgres.frozen():
        await world.hold(0.5, 4.0)


async def lock_session(world: World) -> None:
    """the row of one session locked"""
    async with world.connection(autocommit=False) as holder:
        query = "select 1 from sessions where id = %s for update"
        await holder.execute(query, (world.client().session_id,))
        await world.hold(0.5, 4.0)


async def lock_table(world: World) -> None:
    """a table locked"""
    async with world.connection(autocommit=False) as holder:
        table = sql.Identifier(world.random.choice(LOCKED))
        await holder.execute(sql.SQL("lock table {} in exclusive mode").format(table))
        await world.hold(0.3, 2.0)


async def refuse_session(world: World) -> None:
    """a trigger that fails for one session"""
    client = world.client()
    client.refusals.add(500)
    with world.excusing("internal", "given_up", clients=[client]):
        await _trigger(world, client, world.random.choice(REFUSED), REFUSE, 0.4)


async def slow_session(world: World) -> None:
    """a trigger that takes long for one session"""
    await _trigger(world, world.client(), "events", LINGER, world.between(0.5, 2.0))


async def _trigger(world: World, client: WitnessIde, table: str, body: str, held_s: float) -> None:
    """Held shorter than the pause between two attempts of a run: it meets one of them."""
    column = "id" if table == "sessions" else "session_id"
    async with world.connection() as connection:
        function = f"create or replace function trouble() returns trigger language plpgsql as $$ {body} $$"
        await connection.execute(function.encode())
        trigger = sql.SQL(
            "create trigger trouble before insert or update on {} for each row when (new.{} = {})"
            " execute function trouble()"
        )
        names = (sql.Identifier(table), sql.Identifier(column), sql.Literal(client.session_id))
        await connection.execute(trigger.format(*names))
        try:
            await world.hold(held_s, held_s)
        finally:
            await connection.execute(sql.SQL("drop trigger trouble on {}").format(sql.Identifier(table)))


DATABASE_FAULTS: tuple[Fault, ...] = (restart, pause, lock_session, lock_table, refuse_session, slow_session)
