"""Readers that stop reading, and clients that stop sending: they cost little, hold nobody up, and are closed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.connection import MAX_HEADER_BYTES, ClientLimits
from tests.chaos.cluster import Instance
from tests.ide import STREAM, request_body, user_message
from tests.running import KEY, api_client, running_app

DEAD = 60
LARGE_BYTES = 3_000_000
MAX_EACH_BYTES = 110_000
"""What a reader that never reads may cost, its connection and request included."""
MAX_ONCE_BYTES = 40_000_000
"""For the large events themselves, read, framed and sent while the readers are served."""
PATIENCE_S = 60.0
HALF_A_BODY = f"POST {STREAM} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Internal-Auth: {KEY}\r\nContent-Length: 10\r\n\r\n{{"


@contextlib.contextmanager
def dead_readers(url: httpx.URL, count: int, session_id: str = "s") -> Iterator[None]:
    """Connections that follow the log from its start and never read."""
    asked = f"GET /sessions/{session_id}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Internal-Auth: {KEY}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(PATIENCE_S)
            connection.connect((url.host, url.port))
            connection.sendall(asked.encode())
        yield


def say(client: httpx.Client, text: str) -> None:
    """Let the scripted model say a text, in one piece and in whole."""
    message = user_message(f"#script\n{json.dumps([{'text': text}])}\nGo.", agent_type="coder")
    response = client.post(STREAM, json=request_body(message, "s"), timeout=PATIENCE_S)
    assert response.status_code == 200, response.text
    assert text in response.text


def read_log(client: httpx.Client) -> int:
    """Read the whole log as a reader that reads: its size, keep-alives left out."""
    lines = client.get("/sessions/s/stream?follow=false", timeout=PATIENCE_S).content.split(b"\n")
    return sum(len(line) for line in lines if not line.startswith(b":"))


def own_bytes(instance: Instance) -> int:
    """The memory of a process that it shares with no file."""
    status = Path(f"/proc/{instance._process.pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


@pytest.fixture
def fresh_url(sqlite_template: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'test.db')}"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_readers_that_never_read_cost_little_and_delay_no_shutdown(fresh_url: str) -> None:
    async def run() -> None:
        instance = Instance(fresh_url)
        await instance.start()
        with api_client(instance.url) as client:
            say(client, "x" * LARGE_BYTES)
            size = read_log(client)
            assert size > LARGE_BYTES
            before = own_bytes(instance)
            with dead_readers(client.base_url, DEAD):
                most = 0
                for _ in range(3):
                    assert read_log(client) == size
                    most = max(most, own_bytes(instance) - before)
                assert most < DEAD * MAX_EACH_BYTES + MAX_ONCE_BYTES, f"{most:,} bytes for {DEAD} readers"
                instance.terminate()
                assert await instance.ended() in (0, -signal.SIGTERM)

    asyncio.run(run())


def closed_by_server(connection: socket.socket) -> bytes:
    """Read to the end of the connection: what came before it; fails when it stays open."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            received += piece
    return received


def test_a_reader_that_stops_reading_is_closed_and_others_read_on(fresh_url: str) -> None:
    limits = ClientLimits(unread_s=0.5)
    with running_app(limits=limits, db_url=fresh_url) as (app, url), api_client(url) as client:
        say(client, "x" * LARGE_BYTES)
        size = read_log(client)
        with dead_readers(client.base_url, 3):
            deadline = time.monotonic() + PATIENCE_S
            while app.state.engine.broadcast.followers:
                assert time.monotonic() < deadline, "readers that stopped reading are still served"
                assert read_log(client) == size


def test_a_client_that_leaves_ends_its_silent_stream(fresh_url: str) -> None:
    with running_app(db_url=fresh_url) as (app, url), api_client(url) as client:
        say(client, "Hello.")
        with client.stream("GET", "/sessions/s/stream") as response:
            lines = response.iter_lines()  # the connection is closed when nothing holds them any more
            assert any('"type":"done"' in line for line in lines)
            assert app.state.engine.broadcast.followers == 1
        deadline = time.monotonic() + PATIENCE_S
        while app.state.engine.broadcast.followers:
            assert time.monotonic() < deadline, "a reader that has left is still served"
            asyncio.run(asyncio.sleep(0.05))


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /health HTTP/1.1\r\nX-Half: ", HALF_A_BODY.encode()],
    ids=["nothing", "half a header", "half a body"],
)
def test_a_client_that_stops_in_the_middle_of_a_request_is_closed(fresh_url: str, sent: bytes) -> None:
    with running_app(limits=ClientLimits(header_s=0.3, body_s=0.3), db_url=fresh_url) as (_, url):
        where = httpx.URL(url)
        with socket.create_connection((where.host, where.port), timeout=PATIENCE_S) as connection:
            connection.sendall(sent)
            assert closed_by_server(connection) == b""


def test_a_header_without_end_is_closed(fresh_url: str) -> None:
    with running_app(db_url=fresh_url) as (_, url):
        where = httpx.URL(url)
        with socket.create_connection((where.host, where.port), timeout=PATIENCE_S) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\n")
            with contextlib.suppress(ConnectionError):
                for _ in range(4 * MAX_HEADER_BYTES // 1024):
                    connection.sendall(b"X-More: " + b"x" * 1014 + b"\r\n")
            with contextlib.suppress(ConnectionError):
                assert closed_by_server(connection) == b""


def test_an_idle_follower_is_not_closed(fresh_url: str) -> None:
    limits = ClientLimits(header_s=0.2, body_s=0.2, unread_s=0.2)
    with running_app(limits=limits, db_url=fresh_url) as (_, url), api_client(url) as client:
        say(client, "Hello.")
        with client.stream("GET", "/sessions/s/stream") as response:
            lines = response.iter_lines()
            for line in lines:
                if '"type":"done"' in line:
                    break
            asyncio.run(asyncio.sleep(0.6))
            say(client, "Hello again.")
            assert any("Hello again." in line for line in lines)


def test_a_stream_that_is_followed_ends_whole_when_the_server_stops(fresh_url: str) -> None:
    async def run() -> None:
        instance = Instance(fresh_url)
        await instance.start()
        with api_client(instance.url) as client:
            say(client, "hello")
            with client.stream("GET", "/sessions/s/stream?protocol_version=2") as body:
                lines = body.iter_lines()
                assert next(lines)
                instance.terminate()
                assert any("done" in line for line in list(lines)), "a cut body raises RemoteProtocolError"
        assert await instance.ended() in (0, -signal.SIGTERM)

    asyncio.run(run())
