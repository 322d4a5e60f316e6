"""A kept connection that the server closes without a word costs no attempt (servers such as llama.cpp do that)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from langchain_core.messages import HumanMessage

from errors import ModelUnavailable
from llm.chat_model import Endpoint, Models

BODY = json.dumps({"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class ClosingServer:
    """Answers the first `per_connection` requests of each connection, and closes it when another one comes."""

    def __init__(self, per_connection: int) -> None:
        self.per_connection = per_connection
        self.connections = 0
        self.answered = 0
        self.url = ""
        self._handlers: list[asyncio.Task[None]] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._handlers.append(asyncio.create_task(self._answer(reader, writer)))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for turn in range(self.per_connection + 1):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            if turn == self.per_connection:
                break
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            self.answered += 1
            writer.write(ANSWER)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ClosingServer]:
        """Listen on a free port of this machine."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await asyncio.wait_for(asyncio.gather(*self._handlers), 5)


async def test_a_connection_that_was_closed_meanwhile_is_replaced_at_once() -> None:
    async with ClosingServer(1).running() as server:
        models = Models(model="m", endpoint=Endpoint(server.url))
        replies = [await models.reply([HumanMessage("hello")]) for _ in range(4)]
        await models.aclose()
    assert [(reply.text, reply.attempts) for reply in replies] == [("ok", 1)] * 4
    assert (server.connections, server.answered) == (4, 4)


async def test_a_server_that_hangs_up_on_new_connections_is_unavailable() -> None:
    async with ClosingServer(0).running() as server:
        models = Models(model="m", endpoint=Endpoint(server.url), max_retries=0)
        with pytest.raises(ModelUnavailable):
            await models.reply([HumanMessage("hello")])
        await models.aclose()
    assert (server.connections, server.answered) == (1, 0)
