"""Replies that are larger than they look, or never end: read in small blocks, up to a limit."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from errors import ModelBadReply
from llm.failure import Failure
from llm.reply.body import MAX_BODY_BYTES, MAX_EVENT_BYTES, MAX_REPLY_CHARS, ReplyBody
from llm.transport import ModelServer
from tests.llm.asking import ASK, fails
from tests.llm.conftest import MakeModels
from tests.openai_stub import OpenAIStub
from tools.catalog import TOOLS

BLOCK_BYTES = 1024 * 1024


def bomb() -> Iterator[bytes]:
    yield gzip.compress(b" " * (2 * MAX_BODY_BYTES), 1)


def endless(piece: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        for _ in range(2 * MAX_BODY_BYTES // BLOCK_BYTES):
            yield piece * (BLOCK_BYTES // len(piece))

    return pieces


DELTA = b'data: {"choices":[{"delta":{"content":"x"}}]}' + b" " * 60_000 + b"\n\n"
CALL = b'data: {"choices":[{"delta":{"tool_calls":[{"name":"a"}]}}]}\n\n'
REPLIES: dict[str, tuple[str, Callable[[], Iterator[bytes]]]] = {
    "a gzip bomb": ("gzip", bomb),
    "a line without end": ("identity", endless(b"data: xxx")),
    "events without end": ("identity", endless(DELTA)),
    "empty events without end": ("identity", endless(b"data: {}\n\n")),
    "lines of one event without end": ("identity", endless(b"data: 1\n")),
    "calls without end": ("identity", endless(CALL)),
    "thoughts without end": ("identity", endless(DELTA.replace(b"content", b"reasoning_content"))),
    "an object without end": ("identity", endless(b"[[],[],")),
    "no gzip": ("gzip", lambda: iter([b"plain"])),
    "an unknown encoding": ("br", lambda: iter([b"plain"])),
    "a heavy event": ("identity", lambda: iter([b"data: [" + b"[]," * (MAX_EVENT_BYTES // 8) + b"[]]\n\n"])),
}


@asynccontextmanager
async def answering(encoding: str, pieces: Callable[[], Iterator[bytes]]) -> AsyncIterator[str]:
    """A model server that answers every request with these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nConnection: close\r\n\r\n".encode())
            for piece in pieces():
                writer.write(piece)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions"
    finally:
        server.close()


async def read(server: ModelServer, sizes: list[int]) -> str:
    """Read a reply: its text, with the sizes of its blocks noted."""
    body = ReplyBody()
    async with asyncio.timeout(60), server.post({}) as blocks:
        async for block in blocks:
            sizes.append(len(block))
            body.feed(block)
    return body.end()[0]


@pytest.mark.parametrize("name", REPLIES)
async def test_a_reply_is_read_in_small_blocks_up_to_a_limit(name: str) -> None:
    async with answering(*REPLIES[name]) as url:
        server = ModelServer(httpx.URL(url), dict, idle_timeout_s=30)
        turns, sizes = 0, list[int]()

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        others = asyncio.create_task(count())
        with pytest.raises(Failure):
            await read(server, sizes)
        others.cancel()
        await server.aclose()
    assert max(sizes, default=0) <= 16 * 1024
    assert sum(sizes) <= MAX_BODY_BYTES + 64 * 1024
    assert turns >= len(sizes), "others were served between the blocks"


@pytest.mark.parametrize(
    ("piece", "most_bytes"),
    [
        pytest.param(b"data: 1\n", 2 * MAX_EVENT_BYTES, id="lines of one event"),
        pytest.param(CALL, 2_000 * len(CALL), id="calls"),
    ],
)
def test_what_adds_little_text_has_a_bound_of_its_own(piece: bytes, most_bytes: int) -> None:
    def feed() -> None:
        body, block = ReplyBody(), piece * (16_384 // len(piece))
        for _ in range(most_bytes // len(block)):
            body.feed(block)

    with pytest.raises(Failure):
        feed()


async def test_a_gzip_reply_is_read() -> None:
    said = b'{"choices":[{"message":{"content":"Hello."},"finish_reason":"stop"}]}'
    async with answering("gzip", lambda: iter([gzip.compress(said)])) as url:
        server = ModelServer(httpx.URL(url), dict, idle_timeout_s=30)
        assert await read(server, []) == "Hello."
        await server.aclose()


async def test_blanks_without_end_are_stopped_early(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.words = False
    stub.script([{"text": "\n" * 20_000, "hang": True}, {"text": "ok"}])
    assert (await asyncio.wait_for(make_models().reply(ASK, tools=TOOLS, on_text=lambda _: None), 60)).text == "ok"


@pytest.mark.parametrize("finish", [{"hang": True}, {"truncated": True}])
async def test_blanks_behind_a_text_end_it(stub: OpenAIStub, make_models: MakeModels, finish: dict[str, Any]) -> None:
    stub.words = False
    stub.script([{"text": "I cannot do that." + "\n" * 3_000, **finish}])
    shown: list[str] = []
    reply = await asyncio.wait_for(make_models().reply(ASK, tools=TOOLS, on_text=shown.append), 60)
    assert (reply.text, reply.calls, reply.finish_reason) == ("I cannot do that.\n", (), "stop")
    assert "".join(shown) == reply.text


async def test_text_without_end_is_bounded(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.words = False
    stub.script([{"text": "x" * (MAX_REPLY_CHARS + 1)}])
    assert isinstance(await fails(make_models(max_retries=0)), ModelBadReply)
