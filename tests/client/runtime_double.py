"""A small HTTP server that speaks the protocol from a script: the client's test double, on a real loopback socket."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from client.session import read_chunk
from wire.protocol import Chunk

Chunk_ = dict[str, Any]
Marker = Literal["break", "comment", "hang"]
KEY = "test-key"


@dataclass(frozen=True)
class Refuse:
    """Answer with an HTTP error instead of a stream."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    logged: Sequence[Chunk_] = ()
    """The entries of the log from another client's request."""


Reply = Sequence[Chunk_ | Marker] | Refuse
"""One reply: chunks in order; `break` drops the connection, `hang` waits for a cancel, `comment` keeps alive."""


def chunk(type_: str, **fields: Any) -> Chunk_:
    """Make a full chunk as the server frames it."""
    return Chunk(type=type_).model_dump() | fields


def as_read(raw: Chunk_) -> Chunk:
    """Give a chunk as the client reads it."""
    read = read_chunk(json.dumps(raw))
    assert read is not None, raw
    return read


def says(text: str, **fields: Any) -> Chunk_:
    return chunk("assistant_message", content=text, is_final=True, **fields)


def delta(text: str) -> Chunk_:
    return chunk("assistant_message", token=text)


def done(outcome: str = "completed", **usage: int) -> Chunk_:
    return chunk("done", is_final=True, metadata={"outcome": outcome, "usage": usage})


def calls(call_id: str, tool_name: str, *, asks: bool = False, **arguments: Any) -> Chunk_:
    metadata = {
        "danger": "normal",
        "reasons": [],
        "segments": [],
        "remember_options": [],
        "digest": f"digest-{call_id}",
    }
    return chunk(
        "tool_call",
        call_id=call_id,
        tool_name=tool_name,
        arguments=arguments,
        requires_approval=asks,
        is_final=True,
        metadata=metadata | {"digest": f"digest-{call_id}"},
    )


def status(call_id: str, state: str, **metadata: Any) -> Chunk_:
    return chunk("status", content=state, is_final=True, metadata={"call_id": call_id, "status": state, **metadata})


class RuntimeDouble:
    """Plays its replies one per POST and keeps the log that `GET /sessions/{id}/stream` replays."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.received: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.stream_requests: list[tuple[int, str | None]] = []
        self.cancels = 0
        self.obeys_cancel = True
        self.log: list[tuple[int, Chunk_]] = []
        self.url = ""
        self.hanging = threading.Event()
        self._cancelled = threading.Event()
        self._rest: Sequence[Chunk_ | Marker] | None = None
        self._changed = threading.Condition()

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [body["message"] for body in self.received]

    def record(self, item: Chunk_) -> int:
        with self._changed:
            self.log.append((len(self.log) + 1, item))
            self._changed.notify_all()
            return len(self.log)

    def cancel(self) -> bool:
        self.cancels += 1
        running = self.hanging.is_set()
        if self.obeys_cancel:
            self._cancelled.set()
        return running

    def goes_on(self, rest: Sequence[Chunk_ | Marker]) -> None:
        """End a `hang` with the rest of the reply instead of a cancel."""
        self.hanging.wait(20)
        self._rest = rest
        self._cancelled.set()

    def play(self, reply: Sequence[Chunk_ | Marker]) -> Iterator[bytes | None]:
        """Yield the frames of a reply; None where the connection breaks."""
        broken = False
        for item in reply:
            if item == "break":
                broken = True
                yield None
            elif item == "comment":
                yield b": keep-alive\n\n"
            elif item == "hang":
                self.hanging.set()
                self._cancelled.wait(20)
                self.hanging.clear()
                self._cancelled.clear()
                if self._rest is not None:
                    rest, self._rest = self._rest, None
                    yield from self.play(rest)
                    continue
                end = [chunk("error", error="The run was cancelled.", content="The run was cancelled.", is_final=True)]
                for last in [*end, done("cancelled")]:
                    yield frame(self.record(last), last)
            elif isinstance(item, dict):
                number = self.record(item)
                if not broken:
                    yield frame(number, item)

    def after(self, number: int, *, follow: bool) -> Iterator[bytes]:
        while True:
            with self._changed:
                fresh = [(seq, item) for seq, item in self.log if seq > number]
                if not fresh and follow:
                    self._changed.wait(20)
                    continue
            for seq, item in fresh:
                number = seq
                yield frame(seq, item)
            if not follow:
                return


def frame(number: int, item: Chunk_) -> bytes:
    return f"id: {number}\ndata: {json.dumps(item, ensure_ascii=False)}\n\n".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is part of the tests."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def runtime(*replies: Reply) -> Iterator[RuntimeDouble]:
    """Serve a script on a free port."""
    double = RuntimeDouble(*replies)
    server = _Server(("127.0.0.1", 0), _handler(double))
    double.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield double
    finally:
        double.obeys_cancel = True
        double.cancel()
        server.shutdown()
        server.server_close()
        thread.join(5)


def _handler(double: RuntimeDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            double.keys.append(self.headers.get("X-Internal-Auth"))
            if self.headers.get("X-Internal-Auth") != KEY:
                self._json(401, {"detail": "unauthorized"})
            elif self.path.endswith("/cancel"):
                self._json(200, {"session_id": "s", "cancelled": double.cancel(), "settled_calls": []})
            elif not double.replies:
                self._json(500, {"detail": "The script is over.", "code": "internal"})
            else:
                double.received.append(json.loads(body))
                reply = double.replies.pop(0)
                if isinstance(reply, Refuse):
                    for item in reply.logged:
                        double.record(item)
                    self._json(reply.status, reply.body, reply.headers)
                else:
                    self._stream(double.play(reply))

        def do_GET(self) -> None:
            if self.path == "/agents":
                is_known = self.headers.get("X-Internal-Auth") == KEY
                self._json(200 if is_known else 401, {"agents": []} if is_known else {"detail": "unauthorized"})
                return
            query = parse_qs(urlsplit(self.path).query)
            after = int(self.headers.get("Last-Event-ID") or query["after"][0])
            double.stream_requests.append((int(query["after"][0]), self.headers.get("Last-Event-ID")))
            self._stream(double.after(after, follow=query["follow"] == ["true"]))

        def _json(self, code: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            for name, value in ({"Content-Type": "application/json"} | dict(headers or {})).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self, frames: Iterator[bytes | None] | Iterator[bytes]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            broken = False
            try:
                for content in frames:
                    if content is None:
                        broken = self.close_connection = True
                        self.connection.shutdown(2)
                    elif not broken:
                        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
                if not broken:
                    self.wfile.write(b"0\r\n\r\n")
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    return Handler
