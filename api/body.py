"""The body of a request: its limit and its one parsing (docs/protocol.md, Transport)."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import parser_process
from api.parser_process import HEAD
from api.responses import JSONReply
from json_text import Unreadable, read_json

DRAINED_BODIES = 8
"""So many times the limit is read of a body that is too large, so that its client sees the answer."""
PARSED_HERE_BYTES = 131_072
PARSE_S = 10.0
"""A process that needs longer for one body is ended, and the body refused."""


class BodyLimit:
    """Reads the body once: 413 beyond the limit, 415 for another type than JSON, 422 for what is no JSON."""

    def __init__(self, app: ASGIApp, max_bytes: int, parser: BodyParser) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._parser = parser

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with the parsed body in `scope["state"]["json"]`."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        body = await self._read(receive)
        if body is None:
            problem = {"detail": f"The body is larger than {self._max_bytes} bytes", "code": "bad_request"}
            await JSONReply(problem, 413)(scope, receive, send)
            return
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if body and (kind != b"application/json" or b"content-encoding" in headers):
            problem = {"detail": "Send the body as application/json without Content-Encoding", "code": "bad_request"}
            await JSONReply(problem, 415)(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["json"] = await self._parser.parse(body) if body else None
        except Unreadable as error:
            told = {"type": "json_invalid", "loc": ["body"], "msg": str(error), "input": None}
            await JSONReply({"detail": [told]}, 422)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            part: bytes = message.get("body", b"")
            size += len(part)
            if size <= self._max_bytes:
                parts.append(part)
            elif size > DRAINED_BODIES * self._max_bytes:
                return None
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                # Read to its end even when too large: a client that is still sending would not see the answer.
                return b"".join(parts) if size <= self._max_bytes else None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return the body again, then the following messages (a disconnect)."""
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


class BodyParser:
    """Parses bodies; its process is started for the first large one, and again when it has died."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def parse(self, body: bytes) -> Any:
        """Return the value of a body; raises Unreadable."""
        if len(body) <= PARSED_HERE_BYTES:
            return read_json(body)
        async with self._turn:
            try:
                async with asyncio.timeout(PARSE_S):
                    is_value, answer = await self._ask(body)
            except TimeoutError as error:
                raise Unreadable("The body takes too long to read") from error
            except (OSError, asyncio.IncompleteReadError) as error:
                raise Unreadable("The body could not be read; send it again") from error
        if not is_value:
            raise Unreadable(answer.decode())
        return marshal.loads(answer)  # noqa: S302 written by a process of ours

    async def _ask(self, body: bytes) -> tuple[bool, bytes]:
        """Hand a body to the process; on any failure the process is ended: its answer would come to the next body."""
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(Path(parser_process.__file__)), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
            )
        assert process.stdin is not None, "opened as a pipe"
        assert process.stdout is not None, "opened as a pipe"
        try:
            process.stdin.write(HEAD.pack(False, len(body)))
            process.stdin.write(body)
            await process.stdin.drain()
            is_value, size = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
            return is_value, await process.stdout.readexactly(size)
        except BaseException:
            await asyncio.shield(self.close())
            raise

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


class JsonRequest(Request):
    """A request whose body `BodyLimit` has read."""

    async def json(self) -> Any:
        """The body as a JSON value; it is not parsed again."""
        return self.scope["state"]["json"]


class JsonRoute(APIRoute):
    """A route that takes the body as it was read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which receives the request with the body that was read."""
        handle = super().get_route_handler()

        async def handle_read(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_read
