"""A TCP proxy before PostgreSQL that cuts one connection while its COMMIT is still on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg
from psycopg.conninfo import conninfo_to_dict

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The message of the wire protocol: its kind, its length, the statement."""
BLOCK_BYTES = 65_536


class CommitProxy:
    """Passes everything on; once armed, the next COMMIT is held back while its client sees a broken connection."""

    def __init__(self, db_url: str) -> None:
        self._server = conninfo_to_dict(db_url)
        self._listener: asyncio.Server | None = None
        self._is_armed = False
        self._held_for: asyncio.Task[None] | None = None
        self.has_cut = asyncio.Event()
        """Set when a connection was cut inside its COMMIT."""
        self.may_commit = asyncio.Event()
        """Set it to let the COMMIT reach the server."""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve until the end of the block: the address for `DB_URL`."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        user, name = self._server.get("user", "postgres"), self._server["dbname"]
        password = f":{self._server['password']}" if self._server.get("password") else ""
        try:
            yield f"postgresql://{user}{password}@127.0.0.1:{port}/{name}?sslmode=disable&gssencmode=disable"
        finally:
            self.may_commit.set()
            self._listener.close()

    def arm(self) -> None:
        """Cut the next COMMIT."""
        self._is_armed = True

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = str(self._server.get("host", "127.0.0.1")), int(str(self._server.get("port", 5432)))
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await self._open()
        answers = asyncio.create_task(_pass_on(server_reader, writer))
        try:
            with contextlib.suppress(ConnectionError):
                while block := await reader.read(BLOCK_BYTES):
                    if self._is_armed and block.endswith(COMMIT):
                        self._is_armed = False
                        answers.cancel()
                        writer.transport.abort()
                        self.has_cut.set()
                        await self.may_commit.wait()
                        server_writer.write(block)
                        await server_reader.read(BLOCK_BYTES)
                        return
                    server_writer.write(block)
                    await server_writer.drain()
        finally:
            answers.cancel()
            server_writer.close()
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while block := await reader.read(BLOCK_BYTES):
            writer.write(block)
            await writer.drain()
        writer.close()


async def wait_for_blocked(db_url: str, within_s: float = 20.0) -> None:
    """Wait until a statement waits for the row of a session that another transaction holds."""
    query = """select count(*) from pg_stat_activity
               where datname = current_database() and wait_event_type = 'Lock'
                 and query like '%from sessions%for update%'"""
    async with asyncio.timeout(within_s), await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        while (await (await connection.execute(query)).fetchone()) == (0,):  # noqa: ASYNC110 a table
            await asyncio.sleep(0.02)
