"""Faults of clients: readers that do not read or read slowly, requests without an end, connections that break."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import httpx

from tests.chaos.faults.world import Fault, World
from tests.running import KEY

READERS = 30
SMALL_BUFFER_BYTES = 4096
SLOW_BYTES = 200


@contextlib.contextmanager
def connections(url: str, sent: str, count: int = READERS) -> Iterator[list[socket.socket]]:
    """Connections that have sent this and read nothing."""
    where = httpx.URL(url)
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
            connection.setblocking(True)
            connection.settimeout(5)
            connection.connect((where.host, where.port))
            connection.sendall(sent.encode())
            connection.setblocking(False)
            opened.append(connection)
        yield opened


def following(session_id: str) -> str:
    """A request that follows a session from the start of its log."""
    return f"GET /sessions/{session_id}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Internal-Auth: {KEY}\r\n\r\n"


async def dead_readers(world: World) -> None:
    """readers that never read"""
    with connections(world.instance().url, following(world.client().session_id)):
        await world.hold(0.5, 2.0)


async def slow_readers(world: World) -> None:
    """readers that read slowly"""
    with connections(world.instance().url, following(world.client().session_id)) as opened:
        for _ in range(20):
            for connection in opened:
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    connection.recv(SLOW_BYTES)
            await asyncio.sleep(0.05)


async def half_requests(world: World) -> None:
    """requests that are never finished"""
    with connections(world.instance().url, "POST /agent/message/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "):
        await world.hold(0.5, 1.5)


async def hang_up(world: World) -> None:
    """every connection of the clients broken"""
    for _ in range(4):
        for client in world.clients:
            client.hang_up()
        await world.hold(0.05, 0.4)


CLIENT_FAULTS: tuple[Fault, ...] = (dead_readers, slow_readers, half_requests, hang_up)
