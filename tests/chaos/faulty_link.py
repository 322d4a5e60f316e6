"""A TCP proxy before PostgreSQL that delays, throttles, or loses what goes one way, while the other way works."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

BLOCK_BYTES = 16_384
Direction = Literal["requests", "answers"]


@dataclass(frozen=True)
class Fault:
    """What happens to each block that goes that way."""

    direction: Direction
    delay_s: float = 0.0
    bytes_a_second: float | None = None
    is_lost: bool = False
    """The connections on which something was lost are cut at the end of the fault: a stream has no holes."""


class FaultyLink:
    """Passes everything on, with one fault at a time."""

    def __init__(self, db_url: str) -> None:
        self._server = conninfo_to_dict(db_url)
        self._fault: Fault | None = None
        self._with_losses: set[asyncio.StreamWriter] = set()
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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = str(self._server.get("host", "127.0.0.1")), int(str(self._server.get("port", 5432)))
        if host.startswith("/"):
            answers, requests = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            answers, requests = await asyncio.open_connection(host, port)
        pumps = [
            asyncio.create_task(self._pump("requests", reader, requests)),
            asyncio.create_task(self._pump("answers", answers, writer)),
        ]
        self._pumps.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
                self._pumps.discard(pump)
            requests.transport.abort()
            writer.transport.abort()

    async def _pump(self, direction: Direction, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while block := await source.read(BLOCK_BYTES):
                fault = self._fault
                if fault is not None and fault.direction == direction:
                    if fault.is_lost or target in self._with_losses:
                        self._with_losses.add(target)
                        continue
                    await asyncio.sleep(fault.delay_s + len(block) / (fault.bytes_a_second or float("inf")))
                target.write(block)
                await target.drain()
