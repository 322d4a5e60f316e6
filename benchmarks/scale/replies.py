"""How long the event loop waits while a large or endless reply of a model server is read, kept and shown."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.scale.bodies import Figures, Watch
from llm.reply.body import MAX_BODY_BYTES, MAX_EVENT_BYTES, MAX_REPLY_CHARS
from tests.ide import user_message
from tests.runs.opened import opened

MB = 1_000_000
PIECE_CHARS = 60_000
END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
Pieces = Callable[[], Iterator[bytes]]


def _event(delta: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"


def text(size: int, piece: int = PIECE_CHARS, line: str = "a line of text\n") -> Pieces:
    """A text of so many characters, in pieces, with its end."""

    def pieces() -> Iterator[bytes]:
        said = _event({"content": (line * (piece // len(line) + 1))[:piece]})
        for _ in range(max(1, size // piece)):
            yield said
        yield END

    return pieces


def written_call(size: int, piece: int = PIECE_CHARS) -> Pieces:
    """A call whose arguments have so many characters, in pieces, with its end."""

    def pieces() -> Iterator[bytes]:
        arguments = json.dumps({"path": "a.txt", "content": "a line of text\n" * (size // 16)})
        for start in range(0, len(arguments), piece):
            named = {"name": "write_file"} if start == 0 else {}
            said = {"arguments": arguments[start : start + piece]}
            yield _event({"tool_calls": [{"index": 0, "id": f"call_{size}", "function": said | named}]})
        yield END.replace(b"stop", b"tool_calls")

    return pieces


def repeated(piece: bytes, size: int = 2 * MAX_BODY_BYTES) -> Pieces:
    """The same bytes without end."""
    block = piece * max(1, 65_536 // len(piece))

    def pieces() -> Iterator[bytes]:
        for _ in range(size // len(block)):
            yield block

    return pieces


def squeezed(pieces: Pieces) -> Pieces:
    """All of it as one gzip body."""
    return lambda: iter([gzip.compress(b"".join(pieces()), 9)])


REPLIES: dict[str, tuple[str, Pieces]] = {
    "text of 1 MB": ("identity", text(MB)),
    "text of 1 MB, one event": ("identity", text(MB, MB)),
    "text of 1 MB, one event, escaped": ("identity", text(MB // 2, MB // 2, "\u0416\n")),
    "text at the limit": ("identity", text(MAX_REPLY_CHARS - MB // 10)),
    "text at the limit, one event": ("identity", text(MAX_REPLY_CHARS - MB // 10, MAX_REPLY_CHARS - MB // 10)),
    "text at the limit, one event, escaped": ("identity", text(MB, MB, "\u0416\n")),
    "text beyond the limit, one event": ("identity", text(5 * MB, 5 * MB)),
    "a call of 1 MB": ("identity", written_call(MB)),
    "a call at the limit": ("identity", written_call(MAX_REPLY_CHARS - MB // 4)),
    "calls without end": ("identity", repeated(_event({"tool_calls": [{"function": {"name": "read_file"}}]}))),
    "thoughts without end": ("identity", repeated(_event({"reasoning_content": "x" * PIECE_CHARS}))),
    "text without end": ("identity", repeated(_event({"content": "x" * PIECE_CHARS}))),
    "empty events without end": ("identity", repeated(b"data: {}\n\n")),
    "a line without end": ("identity", repeated(b"data: xxx")),
    "lines of one event without end": ("identity", repeated(b"data: 1\n")),
    "an object without end": ("identity", repeated(b"[[],[],")),
    "an event of brackets": ("identity", lambda: iter([b"data: [" + b"[]," * (MAX_EVENT_BYTES // 4) + b"[]]\n\n"])),
    "a gzip bomb of spaces": ("gzip", squeezed(repeated(b" "))),
    "a gzip bomb of text": ("gzip", squeezed(repeated(_event({"content": "x" * PIECE_CHARS})))),
    "a gzip bomb of brackets": ("gzip", squeezed(repeated(b"[[],[],"))),
}


@contextmanager
def answering(replies: Iterator[tuple[str, Pieces]]) -> Iterator[str]:
    """A model server in a thread of its own that answers with the bytes of each reply in turn."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            encoding, pieces = next(replies)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Encoding", encoding)
            self.end_headers()
            try:
                for piece in pieces():
                    self.wfile.write(piece)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def measure(db_url: str) -> Figures:
    """Let a turn read each reply."""
    return {"rows": [{"reply": name, **await read(db_url, name)} for name in REPLIES]}


async def read(db_url: str, name: str) -> Figures:
    """Let a turn read this reply, behind one that loads what a first reply loads, and watch the loop meanwhile."""
    session = name.replace(",", "").replace(" ", "-")
    with answering(iter([("identity", written_call(10)), REPLIES[name]])) as url:
        async with opened(db_url, llm_model="large", llm_proxy_url=url, llm_max_retries=0) as (_, client):
            await client.post(user_message("Write.", agent_type="coder"), f"warm-up-{session}")
            watch = Watch()
            watching = asyncio.create_task(watch.run())
            await asyncio.sleep(0.05)
            _, chunks = await client.post(user_message("Write.", agent_type="coder"), session)
            await asyncio.sleep(0.2)
            watching.cancel()
    return {"outcome": chunks[-1]["metadata"]["outcome"], "longest_ms": 1000 * watch.longest_s}
