"""A TCP proxy before PostgreSQL: delays, throttles, loses what goes one way, breaks connections, also in a COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

BLOCK_BYTES = 16_384
COMMIT = b"COMMIT\x00"
"""The end of the message of the wire protocol that carries the statement."""
COMMIT_S = 0.2
"""The server has this long to commit before its side of the connection breaks too."""
Direction = Literal["requests", "answers"]


@dataclass(frozen=True)
class Fault:
    """What happens to each block that goes that way."""

    direction: Direction
    delay_s: float = 0.0
    bytes_a_second: float | None = None
    is_lost: bool = False
    """The connections on which something was lost are cut at the end of the fault: a stream has no holes."""


@dataclass
class BrokenCommit:
    """One statement, COMMIT or another that commits by itself, whose sender is not told what came of it."""

    arrives_first: bool
    """Whether the server commits and its answer is swallowed; else the connection breaks while it is on its way."""
    statement: bytes
    """What its message of the wire protocol holds: a piece of its text or of a parameter."""
    has_broken: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there was such a statement."""
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to let the statement reach the server, or to break the connection that waits for its answer."""


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    is_silent: bool = False
    """Whether its answers are swallowed."""


class FaultyLink:
    """Passes everything on, with one fault at a time."""

    def __init__(self, db_url: str) -> None:
        self._server = conninfo_to_dict(db_url)
        self._fault: Fault | None = None
        self._commit: BrokenCommit | None = None
        self._with_losses: set[asyncio.StreamWriter] = set()
        self._connections: set[_Connection] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve until the end of the block: the address for `DB_URL`."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        user, name = self._server.get("user", "postgres"), self._server["dbname"]
        password = f":{self._server['password']}" if self._server.get("password") else ""
        try:
            yield f"postgresql://{user}{password}@127.0.0.1:{port}/{name}?sslmode=disable&gssencmode=disable"
        finally:
            listener.close()
            for pump in (pumps := [*self._pumps]):
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def fault(self, fault: Fault) -> AsyncIterator[None]:
        """Let a fault hold for the block."""
        self._fault = fault
        try:
            yield
        finally:
            self._fault = None
            for writer in self._with_losses:
                writer.transport.abort()
            self._with_losses.clear()

    @contextlib.contextmanager
    def broken_commit(self, *, arrives_first: bool, statement: bytes = COMMIT) -> Iterator[BrokenCommit]:
        """Break the next COMMIT, or the next statement that holds these bytes, one of the block."""
        commit = self._commit = BrokenCommit(arrives_first, statement)
        try:
            yield commit
        finally:
            self._commit = None
            commit.may_go_on.set()

    def cut(self) -> int:
        """Break every connection: how many there were."""
        for connection in (connections := [*self._connections]):
            connection.client.transport.abort()
            connection.server.transport.abort()
        return len(connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, requests = await self._open()
        except OSError:  # the database is away
            writer.transport.abort()
            return
        connection = _Connection(writer, requests)
        pumps = [
            asyncio.create_task(self._pump("requests", reader, requests, connection)),
            asyncio.create_task(self._pump("answers", answers, writer, connection)),
        ]
        self._pumps.update(pumps)
        self._connections.add(connection)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            for pump in pumps:
                pump.cancel()
                self._pumps.discard(pump)
            requests.transport.abort()
            writer.transport.abort()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = str(self._server.get("host", "127.0.0.1")), int(str(self._server.get("port", 5432)))
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _pump(
        self,
        direction: Direction,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        connection: _Connection,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while block := await source.read(BLOCK_BYTES):
                fault, commit = self._fault, self._commit
                if direction == "answers" and connection.is_silent:
                    continue
                if commit is not None and direction == "requests" and commit.statement in block:
                    self._commit = None
                    await _break(commit, connection, block)
                    return
                if fault is not None and fault.direction == direction:
                    if fault.is_lost or target in self._with_losses:
                        self._with_losses.add(target)
                        continue
                    await asyncio.sleep(fault.delay_s + len(block) / (fault.bytes_a_second or float("inf")))
                target.write(block)
                await target.drain()


async def _break(commit: BrokenCommit, connection: _Connection, block: bytes) -> None:
    """Let one side of a connection believe that it is well until `may_go_on`."""
    connection.is_silent = True
    if commit.arrives_first:
        connection.server.write(block)
        await connection.server.drain()
    else:
        connection.client.transport.abort()
    commit.has_broken.set()
    await commit.may_go_on.wait()
    if not commit.arrives_first:
        connection.server.write(block)
        await connection.server.drain()
        await asyncio.sleep(COMMIT_S)
