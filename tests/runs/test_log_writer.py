"""One append for all runs: few transactions, and a session that cannot be written hurts only itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from runs.log.broadcast import Broadcast
from runs.log.writer import LogWriter
from storage.connect import open_database
from storage.database import Database
from storage.session_state import Batch, NewEvents, SessionChange
from storage.tables import events, runs
from storage.tables.events import Addition
from storage.tables.runs import Run
from telemetry.meters import Meters
from tests.chaos.facts import check_view, table_log
from tests.databases import PostgresServer
from tests.ide import Chunk
from tests.runs.opened import Client, opened
from wire.chunks import pack
from wire.protocol import AssistantMessage

STREAMS = 20
WORDS = 30
TEXT = "word " * WORDS
PATIENCE_S = 60
SLOW = [{"repeat": "word ", "times": WORDS, "delay": 0.1}]


async def speak(client: Client, session_id: str) -> str:
    """Play a slow answer: the text of its pieces, and nothing before it was stored twice."""
    status, chunks = await client.play(SLOW, session_id)
    assert status == 200, chunks
    check_view(session_id, list(enumerate(chunks, start=1)))
    return text_of(chunks)


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk["token"] or "" for chunk in chunks if not chunk["is_final"])


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await fact():  # noqa: ASYNC110 a table
            await asyncio.sleep(0.02)


def shows_text(connection: psycopg.AsyncConnection, session_id: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return any(chunk["token"] for _, chunk in await table_log(connection, session_id))

    return look


def on_postgres(
    server: PostgresServer, play: Callable[[str, Client, psycopg.AsyncConnection], Coroutine[Any, Any, None]]
) -> None:
    async def run(db_url: str) -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            opened(db_url) as (_, client),
            await psycopg.AsyncConnection.connect(db_url, autocommit=True) as other,
        ):
            await play(db_url, client, other)

    with server.database() as db_url:
        asyncio.run(run(db_url))


async def transactions(connection: psycopg.AsyncConnection) -> tuple[int, int]:
    """In how many transactions the pieces of text were stored, and how many appends there were, session by session."""
    query = """select count(distinct xmin::text), count(distinct (session_id, xmin::text))
               from events where chunk like '%"token"%'"""
    row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return row[0], row[1]


def test_streams_share_their_transactions(postgres: PostgresServer) -> None:
    async def play(_: str, client: Client, other: psycopg.AsyncConnection) -> None:
        texts = await asyncio.gather(*(speak(client, f"s{n}") for n in range(STREAMS)))
        assert texts == [TEXT] * STREAMS
        shared, appends = await transactions(other)
        assert shared * 2 < appends, f"{shared} transactions for {appends} appends"

    on_postgres(postgres, play)


def test_a_slow_answer_is_appended_in_pieces_of_several_words(postgres: PostgresServer) -> None:
    async def play(_: str, client: Client, other: psycopg.AsyncConnection) -> None:
        assert await speak(client, "s") == TEXT
        count, _appends = await transactions(other)
        assert count <= WORDS // 3, f"{count} transactions for {WORDS} words"

    on_postgres(postgres, play)


def test_a_locked_session_holds_up_no_other(postgres: PostgresServer) -> None:
    async def play(db_url: str, client: Client, other: psycopg.AsyncConnection) -> None:
        locked = asyncio.create_task(speak(client, "locked"))
        await until(shows_text(other, "locked"))
        async with await psycopg.AsyncConnection.connect(db_url) as holder:
            await holder.execute("select 1 from sessions where id = 'locked' for update")
            before = await table_log(other, "locked")
            texts = await asyncio.gather(*(speak(client, f"s{n}") for n in range(3)))
            assert await table_log(other, "locked") == before
        assert texts == [TEXT] * 3
        assert await locked == TEXT

    on_postgres(postgres, play)


def failing(body: str) -> str:
    """A trigger that does this when an event of the session `bad` is stored."""
    return f"""create function poison() returns trigger language plpgsql
               as $$ begin if new.session_id = 'bad' then {body} end if; return new; end $$;
               create trigger poison before insert on events for each row execute function poison()"""


def test_a_session_whose_events_cannot_be_stored_ends_alone(postgres: PostgresServer) -> None:
    async def play(_: str, client: Client, other: psycopg.AsyncConnection) -> None:
        bad = asyncio.create_task(client.play(SLOW, "bad"))
        good = [asyncio.create_task(speak(client, f"s{n}")) for n in range(3)]
        for session_id in ("bad", "s0", "s1", "s2"):
            await until(shows_text(other, session_id))
        await other.execute(failing("raise exception 'no';").encode())
        assert await asyncio.gather(*good) == [TEXT] * 3
        await other.execute("drop trigger poison on events")
        bad.cancel()

    on_postgres(postgres, play)


def test_a_session_whose_events_are_slow_to_store_holds_up_no_other(postgres: PostgresServer) -> None:
    async def play(_: str, client: Client, other: psycopg.AsyncConnection) -> None:
        bad = asyncio.create_task(client.play([{"repeat": "word ", "times": 500, "delay": 0.1}], "bad"))
        await until(shows_text(other, "bad"))
        await other.execute(failing("perform pg_sleep(0.8);").encode())
        await asyncio.sleep(0.5)
        shown = len(await table_log(other, "bad"))
        assert await asyncio.gather(*(speak(client, f"s{n}") for n in range(3))) == [TEXT] * 3
        assert len(await table_log(other, "bad")) > shown, "the slow session goes on too"
        assert (await client.http.post("/sessions/bad/cancel")).status_code == 200
        await other.execute("drop trigger poison on events")
        await bad

    on_postgres(postgres, play)


@asynccontextmanager
async def writing(db_url: str) -> AsyncIterator[tuple[Database, LogWriter]]:
    """A log writer without a server, which would take over the runs of these tests."""
    database = await open_database(db_url)
    writer = LogWriter(database, Broadcast(database), Meters("m", []))
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield database, writer
    finally:
        await writer.close()
        await database.close()


async def claimed(database: Database, session_id: str) -> Run:
    """A running run of a new session."""
    run = Run(f"run-{session_id}", session_id, f"r-{session_id}", {}, "running", 7, 1, 2, False, None)
    async with database.transaction() as tx:
        change = SessionChange(creates_for="")
        assert await Batch(tx, session_id).write(change, NewEvents("r", []), runs.start(run)) == 0
    return run


def words(*texts: str) -> list[str]:
    return [pack(AssistantMessage(token=text)) for text in texts]


async def test_a_batch_leaves_out_what_does_not_fit(db_url: str) -> None:
    async with writing(db_url) as (database, _):
        fits, lost, behind = [await claimed(database, name) for name in ("fits", "lost", "behind")]
        async with database.transaction() as tx:
            await events.append(tx, "behind", "other", words("Before."))
        additions = [
            Addition(fits, 0, words("One.", "Two.")),
            Addition(Run(**{**vars(lost), "attempt": 2}), 0, words("Stale.")),
            Addition(behind, 0, words("Behind.")),
        ]
        async with database.log_transaction() as tx:
            stored = await events.append_batch(tx, additions)
        assert [[event.seq for event in found] for found in stored] == [[1, 2], [], []]
        async with database.log_transaction() as tx:
            assert await events.append_batch(tx, additions) == [[], [], []], "the same addition is stored once"
        async with database.autocommit() as tx:
            assert await events.read(tx, "fits", 0) == stored[0]
            assert await events.read(tx, "lost", 0) == []
            assert [event.request_id for event in await events.read(tx, "behind", 0)] == ["other"]


async def test_what_was_stored_without_an_answer_is_found_and_not_stored_again(db_url: str) -> None:
    async with writing(db_url) as (database, writer):
        run = await claimed(database, "s")
        async with database.log_transaction() as tx:
            await events.append_batch(tx, [Addition(run, 0, words("Once."))])
        log = writer.log_of(run)
        log.open(0, asyncio.current_task())
        log.say(AssistantMessage(token="Once."))
        assert log.addition() is not None
        assert await log.close() == []
        async with database.autocommit() as tx:
            found = await events.read(tx, "s", 0)
        assert [event.packed for event in found] == words("Once.")


async def test_a_run_that_was_taken_over_is_stopped(db_url: str) -> None:
    async with writing(db_url) as (database, writer):
        run = await claimed(database, "s")
        stale = Run(**{**vars(run), "attempt": 0})

        async def drive() -> None:
            log.open(0, asyncio.current_task())
            log.say(AssistantMessage(token="Stale."))
            await asyncio.sleep(PATIENCE_S)

        log = writer.log_of(stale)
        driver = asyncio.create_task(drive())
        await asyncio.wait({driver}, timeout=PATIENCE_S)
        assert driver.cancelled()
        assert type(log.broken).__name__ == "RunLost"
        async with database.autocommit() as tx:
            assert await events.read(tx, "s", 0) == []
