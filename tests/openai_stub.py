"""An OpenAI-compatible model server for tests: real HTTP on 127.0.0.1, answering from a script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import uvicorn

Json = dict[str, Any]
DEFAULT_CLASSIFICATION: Json = {"is_atomic": True, "agent": "code", "confidence": "high", "reason": "scripted"}


class _Cut(Exception):
    """The script wants the connection cut in the middle of a body."""


class OpenAIStub:
    """`async with OpenAIStub() as stub:` (or `with`): a model server that plays `stub.script([...])`, in order.

    One reply is a JSON object:

    - `{"text": "…"}`, `{"tool": name, "args": {…} or raw text, "id": "…"}`, `{"tools": [those, …]}`; text may stand
      beside a tool
    - `{"status": 500, "headers"?: {…}, "body"?: {…} or text}`: an HTTP error
    - `{"raw": {…}}`: this JSON body with status 200; `{"bytes": "…", "type"?: "text/event-stream"}`: these bytes
    - beside any text or tools: `"finish"` (a finish reason, null leaves it out), `"truncated": true` (finish `length`),
      `"usage"` (null leaves it out), `"silent_s"` (seconds before the answer begins), `"delay_s"` (between pieces),
      `"every_s"` (the same by the clock: a piece that is late comes at once), `"hold_after": n` (wait for
      `stub.release()` after n pieces), `"hang": true` (never end), `"drop_after": n` (cut it after n bytes of body),
      `"error": {…}` (an error event after the text), `"done": false` (no `[DONE]`), `"arguments_as_object": true`,
      `"headers"`.

    A request with temperature 0.3 or the classifier's prompt, and no tools, is the classifier's: it is answered with
    `stub.classify` (a JSON object; or one reply as above under the key `"reply"`) and takes nothing from the script.
    When the script has run out, `stub.responder` makes the reply from the request's body; without one it is HTTP 500
    that says so. All attributes may be read and set from any thread.
    """

    def __init__(self, *, streaming: bool = True, words: bool = True, usage: bool = True) -> None:
        self.streaming = streaming
        """False = answer a streaming request with a plain JSON body."""
        self.words = words
        """True = one chunk per word, False = one for the whole text."""
        self.usage = usage
        self.classify: Json = dict(DEFAULT_CLASSIFICATION)
        self.responder: Callable[[Json], Json] | None = None
        """Makes a reply from the body of a request, once the script has run out."""
        self.requests: list[Json] = []
        """Each {"headers": {lower-case name: value}, "path", "body": parsed JSON, "is_classifier"}."""
        self.violations: list[str] = []
        """Requests in which a tool call had not exactly one tool message, in words."""
        self.disconnected = 0
        """Replies that the client left before their end."""
        self.connections: set[Any] = set()
        """The client addresses seen: fewer than requests when connections are reused."""
        self._script: list[Json] = []
        self._played = 0
        self._resets = 0
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None

    def reset(self) -> None:
        """Forget script, record and options: as new, but running."""
        with self._lock:
            self.streaming = self.words = self.usage = True
            self.classify = dict(DEFAULT_CLASSIFICATION)
            self.responder = None
            self._script, self._played, self.disconnected = [], 0, 0
            self._resets += 1
            self._released.clear()
            for record in (self.requests, self.violations, self.connections):
                record.clear()

    # the script and the record

    def script(self, replies: Sequence[Mapping[str, Any]]) -> None:
        """Replace what is left of the script."""
        with self._lock:
            self._script = [dict(reply) for reply in replies]

    def add(self, *replies: Mapping[str, Any]) -> None:
        """Append to the script."""
        with self._lock:
            self._script += [dict(reply) for reply in replies]

    def release(self) -> None:
        """Let every reply go on that `hold_after` holds."""
        self._released.set()

    @property
    def left(self) -> int:
        """How many replies the script still holds."""
        with self._lock:
            return len(self._script)

    @property
    def agent_calls(self) -> int:
        """How many requests were not the classifier's."""
        return sum(not request["is_classifier"] for request in list(self.requests))

    @property
    def classifier_calls(self) -> int:
        """How many requests were the classifier's."""
        return sum(request["is_classifier"] for request in list(self.requests))

    @property
    def last_agent_request(self) -> Json:
        """The body of the last request that was not the classifier's."""
        body: Json = [request for request in list(self.requests) if not request["is_classifier"]][-1]["body"]
        return body

    @property
    def url(self) -> str:
        """The address to configure as the proxy's."""
        assert self._socket is not None, "the stub is not running"
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    # start and stop

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1, in a thread."""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            log_level=60,
            access_log=False,
            timeout_keep_alive=60,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="openai-stub", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the stub did not start"
            assert self._thread.is_alive(), "the stub died while starting"
            time.sleep(0.002)
        return self

    def stop(self) -> None:
        """Close every connection and end the thread."""
        assert self._server is not None
        assert self._thread is not None
        assert self._socket is not None
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._socket.close()
        assert not self._thread.is_alive(), "the stub did not stop"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    # one request

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
            more = event.get("more_body", False)
        if scope["method"] != "POST" or not scope["path"].endswith("/chat/completions"):
            await _send_json(send, 404, {"error": {"message": "no such path"}})
            return
        request, reply = self._record(scope, body)
        resets = self._resets
        answer = asyncio.ensure_future(self._answer(send, request, reply))
        leaving = asyncio.ensure_future(_left(receive))
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() and resets == self._resets:
            self.disconnected += 1
        for task in (answer, leaving):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        with contextlib.suppress(asyncio.CancelledError):
            await answer

    def _record(self, scope: Any, raw: bytes) -> tuple[Json, Json]:
        body: Json = json.loads(raw)
        reads_classifier = any("is_atomic" in str(message.get("content")) for message in body["messages"][:1])
        is_classifier = (body.get("temperature") == 0.3 or reads_classifier) and not body.get("tools")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        with self._lock:
            self.connections.add(tuple(scope["client"]))
            self.requests.append(
                {"headers": headers, "path": scope["path"], "body": body, "is_classifier": is_classifier}
            )
            self.violations += [f"request {len(self.requests)}: {text}" for text in _violations(body["messages"])]
            if is_classifier:
                return body, self.classify.get("reply") or {"text": json.dumps(self.classify, ensure_ascii=False)}
            if self._script:
                self._played += 1
                return body, self._script.pop(0)
            if self.responder is not None:
                return body, self.responder(body)
            message = f"The script of this stub has run out after {self._played} replies."
            return body, {"status": 500, "body": {"error": {"message": message}}}

    async def _answer(self, send: Any, request: Json, reply: Json) -> None:
        if reply.get("silent_s"):
            await asyncio.sleep(reply["silent_s"])
        if "status" in reply:
            await _send_json(
                send, reply["status"], reply.get("body", {"error": {"message": "scripted"}}), reply.get("headers")
            )
            return
        if "raw" in reply:
            await _send_json(send, 200, reply["raw"], reply.get("headers"))
            return
        is_stream = bool(request.get("stream")) and self.streaming
        usage = {**_usage(request, reply), **(reply.get("usage") or {})}
        if not self.usage or ("usage" in reply and reply["usage"] is None):
            usage = {}
        if "bytes" in reply:
            content_type, blocks = reply.get("type", "text/event-stream"), iter([reply["bytes"].encode("latin-1")])
        elif is_stream:
            content_type, blocks = "text/event-stream", _stream(request["model"], reply, usage, words=self.words)
        else:
            content_type, blocks = "application/json", iter([_whole(request["model"], reply, usage)])
        await send(_head(200, {"content-type": content_type, **reply.get("headers", {})}))
        async for block in _paced(blocks, reply, self._released):
            await send({"type": "http.response.body", "body": block, "more_body": True})
        if reply.get("hang"):
            await asyncio.Event().wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Callable[[], Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _paced(blocks: Iterator[bytes], reply: Json, released: threading.Event) -> AsyncIterator[bytes]:
    left, loop = reply.get("drop_after"), asyncio.get_running_loop()
    began, every_s = loop.time(), reply.get("every_s", 0)
    for number, block in enumerate(blocks, 1):
        while number - 1 == reply.get("hold_after") and not released.is_set():  # noqa: ASYNC110 set in another thread
            await asyncio.sleep(0.005)
        if left is not None and len(block) >= left:
            yield block[:left]
            await asyncio.sleep(0.01)  # lets what was sent leave before the connection is cut
            raise _Cut
        left = left and left - len(block)
        yield block
        pause_s = began + number * every_s - loop.time() if every_s else reply.get("delay_s", 0)
        await asyncio.sleep(max(0, pause_s))


def _stream(model: str, reply: Json, usage: Json, *, words: bool) -> Iterator[bytes]:
    def event(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _sse(
            {"id": "stub", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
        )

    yield event({"role": "assistant", "content": None})
    text = str(reply.get("text", ""))
    for piece in re.findall(r"\s*\S+|\s+", text) if words else [text] * bool(text):
        yield event({"content": piece})
    for index, call in enumerate(_calls(reply)):
        arguments = call["function"].pop("arguments")
        yield event({"tool_calls": [{"index": index, **call, "function": {**call["function"], "arguments": ""}}]})
        pieces = [arguments] if not isinstance(arguments, str) else re.findall(r".{1,12}", arguments, re.DOTALL)
        for piece in pieces:
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    if "error" in reply:
        yield _sse({"error": reply["error"]})
        return
    if reply.get("hang"):
        return
    finish = _finish(reply)
    if finish is not None:
        yield event({}, finish)
    if usage:
        yield _sse({"id": "stub", "object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage})
    if reply.get("done", True):
        yield b"data: [DONE]\n\n"


def _whole(model: str, reply: Json, usage: Json) -> bytes:
    message: Json = {"role": "assistant", "content": reply.get("text")}
    calls = _calls(reply)
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    body = {"id": "stub", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
    return json.dumps({**body, **({"usage": usage} if usage else {})}).encode()


def _calls(reply: Json) -> list[Json]:
    written = reply.get("tools") or ([reply] if "tool" in reply else [])
    calls = []
    for call in written:
        arguments = call.get("args", {})
        if not isinstance(arguments, str) and not reply.get("arguments_as_object"):
            arguments = json.dumps(arguments, ensure_ascii=False)
        function = {"name": call["tool"], "arguments": arguments}
        calls.append({"id": call.get("id", ""), "type": "function", "function": function})
    return calls


def _finish(reply: Json) -> str | None:
    if reply.get("truncated"):
        return "length"
    finish: str | None = reply.get("finish", "tool_calls" if _calls(reply) else "stop")
    return finish


def _usage(request: Json, reply: Json) -> Json:
    prompt = len(json.dumps(request["messages"])) // 4
    completion = max(1, len(json.dumps(reply)) // 4)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _violations(messages: list[Json]) -> list[str]:
    found = []
    open_calls: list[str] = []
    for message in [*messages, {"role": "end"}]:
        if message["role"] == "tool":
            if message["tool_call_id"] in open_calls:
                open_calls.remove(message["tool_call_id"])
            else:
                found.append(f"a tool message answers no open call: {message['tool_call_id']}")
            continue
        if open_calls:
            found.append(f"calls without an answer before the next {message['role']} message: {open_calls}")
        open_calls = [call["id"] for call in message.get("tool_calls") or []]
    return found


def _sse(event: Json) -> bytes:
    text = json.dumps(event, ensure_ascii=False)
    has_lone = any("\ud800" <= character <= "\udfff" for character in text)  # only an escape can carry those
    return b"data: " + (json.dumps(event) if has_lone else text).encode() + b"\n\n"


def _head(status: int, headers: Mapping[str, str]) -> Json:
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": lines}


async def _send_json(send: Any, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    await send(_head(status, {"content-type": "application/json", "content-length": str(len(raw)), **(headers or {})}))
    await send({"type": "http.response.body", "body": raw, "more_body": False})
