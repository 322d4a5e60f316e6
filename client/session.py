"""One session on a server: messages and their chunks, over dropped connections too (docs/protocol.md, Transport)."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
from pydantic import TypeAdapter, ValidationError

from client.sse import read_events
from client.time_limit import TimeLimit
from errors import AgentRuntimeError
from wire.protocol import AnyChunk, Chunk

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 60.0
"""The server comments every 15 seconds: after four missing comments the connection counts as dead."""
MAX_RECONNECTS = 5
MAX_REPEATS = 3
_TOKENS = {
    "prompt": "prompt tokens",
    "cached": "cached prompt tokens",
    "completion": "completion tokens",
    "total": "tokens",
}
_CHUNK: TypeAdapter[Chunk] = TypeAdapter(AnyChunk)


class ServerUnreachable(AgentRuntimeError):
    """The server cannot be reached; check the address and that it runs."""


class ServerRefused(AgentRuntimeError):
    """The server refused the request."""

    def __init__(self, message: str, *, status_code: int, error_code: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.error_code = error_code
        """The `code` of the reply, empty when it has none."""
        self.retry_after_s = retry_after_s

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed soon."""
        return self.status_code in (429, 503) or self.error_code == "session_busy"


class Session:
    """The client's end of one session; the id is chosen here, so that a lost stream can always be found again."""

    def __init__(
        self,
        url: str,
        key: str | None,
        time_limit: TimeLimit,
        session_id: str | None = None,
        *,
        client: str = "terminal",
    ) -> None:
        # trust_env off: a proxy of the environment must not see the key of a local server.
        headers = {"User-Agent": f"agent-runtime-{client}"} | ({"X-Internal-Auth": key} if key else {})
        self._http = httpx.Client(headers=headers, trust_env=False)
        self.url = url.rstrip("/")
        self.client_id = str(uuid4())
        """Names this client in its decisions: it runs what it approves."""
        self.id = session_id or str(uuid4())
        self.last_seq = 0
        self.time_limit = time_limit

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, message: dict[str, Any]) -> Iterator[Chunk]:
        """Send one message and yield the chunks of its turn up to `done`, across dropped connections."""
        # ASCII, so that lone surrogates of a model travel as escapes.
        body = json.dumps({"session_id": self.id, "protocol_version": 2, "message": message})
        for attempt in range(MAX_REPEATS + 1):
            try:
                with self._open("POST", "/agent/message/stream", content=body) as response:
                    ended = yield from self._chunks(response)
                break
            except ServerRefused as refusal:
                if not refusal.is_passing or attempt == MAX_REPEATS:
                    raise
                self.time_limit.sleep(max(refusal.retry_after_s, 0.5))
        if not ended:
            yield from self.follow()

    def follow(self) -> Iterator[Chunk]:
        """Read on after the last chunk that arrived, until `done`."""
        failures = 0
        while True:
            before = self.last_seq
            try:
                with self._open_log(after=before, follow=True) as response:
                    if (yield from self._chunks(response, after=before)):
                        return
            except ServerUnreachable:
                if failures == MAX_RECONNECTS:
                    raise
            failures = 0 if self.last_seq > before else failures + 1
            if failures > MAX_RECONNECTS:
                raise ServerUnreachable(
                    "The connection to the server keeps breaking off; the run may still go on there."
                )
            self.time_limit.sleep(min(0.1 * 2**failures, 2.0))

    def log_after(
        self, number: int, *, follow: bool, opened: Callable[[httpx.Response], None] | None = None
    ) -> Iterator[tuple[int, Chunk]]:
        """Yield (number, chunk) of the log after a number; with `follow` also what comes, without a time limit.

        It leaves `last_seq` as it is. `opened` is given the response before it is read, for a caller that must
        end the reading from another thread. Raises ServerUnreachable when the connection breaks.
        """
        with self._open_log(after=number, follow=follow, limited=False) as response:
            if opened:
                opened(response)
            try:
                for event in read_events(response.iter_bytes()):
                    chunk = read_chunk(event.data) if event.data is not None else None
                    if chunk is not None and (event.id or 0) > number:
                        yield event.id or 0, chunk
            except httpx.TransportError as error:
                raise ServerUnreachable(f"The connection to {self.url} broke off.") from error

    def catch_up(self) -> None:
        """Skip what the log of an older session holds already."""
        for number, _ in self.log_after(self.last_seq, follow=False):
            self.last_seq = max(self.last_seq, number)

    def get(self, path: str, **params: str) -> dict[str, Any]:
        """Read one of the REST endpoints (docs/protocol.md); raises ServerRefused or ServerUnreachable."""
        with self._open("GET", path, params=params, limited=False) as response:
            return _object(response)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send one REST request and give its reply."""
        with self._open("POST", path, content=json.dumps(body), limited=False) as response:
            return _object(response)

    def begin(self) -> None:
        """Turn to a new session."""
        self.id = str(uuid4())
        self.last_seq = 0

    def cancel(self) -> bool:
        """Cancel what runs or waits in the session; False when there was nothing."""
        with self._open("POST", f"/sessions/{self.id}/cancel") as response:
            reply = json.loads(response.read())
        return bool(reply.get("cancelled"))

    @contextmanager
    def _open_log(self, *, after: int, follow: bool, limited: bool = True) -> Iterator[httpx.Response]:
        wanted = {"after": str(after), "follow": str(follow).lower(), "protocol_version": "2"}
        last = {"Last-Event-ID": str(after)}
        path = f"/sessions/{self.id}/stream"
        with self._open("GET", path, params=wanted, headers=last, limited=limited) as response:
            yield response

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        *,
        content: str | None = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        limited: bool = True,
    ) -> Iterator[httpx.Response]:
        """Open a reply and translate what went wrong before its body; `limited` by the time that the task has left."""
        sent = (headers or {}) | ({"Content-Type": "application/json"} if content is not None else {})
        left_s = self.time_limit.left_s if limited else SILENCE_TIMEOUT_S
        silence_s = max(0.01, min(SILENCE_TIMEOUT_S, left_s))
        timeout = httpx.Timeout(silence_s, connect=min(CONNECT_TIMEOUT_S, silence_s))
        try:
            with self._http.stream(
                method, self.url + path, content=content, params=params, headers=sent, timeout=timeout
            ) as response:
                if not response.is_success:
                    response.read()
                    raise _refusal(response)
                yield response
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ServerUnreachable(f"'{self.url}' is not an http address.") from error
        except httpx.TransportError as error:
            if limited:
                self.time_limit.check()
            raise ServerUnreachable(
                f"The server at {self.url} cannot be reached; check the address and that it runs."
            ) from error

    def _chunks(self, response: httpx.Response, after: int | None = None) -> Generator[Chunk, None, bool]:
        """Yield the chunks of a reply, or of the log `after` a number; the value says whether the turn ended."""
        ended = False
        try:
            for event in read_events(response.iter_bytes()):
                self.time_limit.check()
                if event.data is None or (after is not None and (event.id or 0) <= after):
                    continue
                self.last_seq = max(self.last_seq, event.id or 0)
                chunk = read_chunk(event.data)
                if chunk is None:
                    continue
                yield chunk
                if chunk.type == "done":
                    ended = True
                    if after is not None:
                        break  # the log goes on into the next turn, a reply ends by itself
        except httpx.TransportError:
            if not ended:
                self.time_limit.check()
        return ended


def read_chunk(data: str) -> Chunk | None:
    """Validate one chunk: unknown keys are dropped, an unknown type is a plain Chunk, nonsense is None."""
    try:
        raw = json.loads(data)
    except ValueError:
        return None
    if not isinstance(raw, dict):
        return None
    known = {name: value for name, value in raw.items() if name in Chunk.model_fields and value is not None}
    try:
        return _CHUNK.validate_python(known)
    except ValidationError:
        return _as_unknown(known)


def _as_unknown(known: dict[str, Any]) -> Chunk | None:
    try:
        return Chunk.model_validate(known)
    except ValidationError:
        return None


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.read())
    except (ValueError, httpx.TransportError) as error:
        raise ServerUnreachable(f"The answer of {response.url} cannot be read.") from error
    return body if isinstance(body, dict) else {}


def _refusal(response: httpx.Response) -> ServerRefused:
    """Word a refusal for the person at the terminal."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    detail = body.get("detail") if isinstance(body, dict) else None
    code = str(body.get("code", "")) if isinstance(body, dict) else ""
    retry_after = response.headers.get("Retry-After", "")
    retry_after_s = float(retry_after) if retry_after.isdecimal() else 0.0
    status = response.status_code
    if status == 401:
        sentence = "The server does not accept this key; give the right one with --key."
    elif status == 429:
        sentence = f"The server limits the rate of requests; retry in {retry_after_s:.0f} s."
    elif isinstance(detail, str):
        sentence = f"The server refused ({status}): {detail}"
    elif isinstance(detail, list) and detail and isinstance(detail[0], dict):
        where = ".".join(str(part) for part in detail[0].get("loc", ()))
        sentence = f"The server refused ({status}): {where}: {detail[0].get('msg', 'not valid')}"
    else:
        sentence = f"The server answered with the status {status}."
    return ServerRefused(sentence, status_code=status, error_code=code, retry_after_s=retry_after_s)


def session_cost(session: Session) -> list[tuple[str, str]]:
    """Sum up the model calls of a session as (name, figure); raises what the server refuses."""
    found = session.get(f"/sessions/{session.id}/model-calls").get("model_calls")
    calls = [call for call in found if isinstance(call, dict)] if isinstance(found, list) else []
    rows = [("requests", str(len(calls)))]
    rows += [(name, str(sum(call.get(f"{kind}_tokens") or 0 for call in calls))) for kind, name in _TOKENS.items()]
    return [*rows, ("cost", _price(calls))]


def _price(calls: Sequence[Mapping[str, Any]]) -> str:
    """The sum in USD; calls of a model without a price are named, because they are not in it."""
    paid = [call["cost_usd"] for call in calls if isinstance(call.get("cost_usd"), (int, float))]
    unpriced = sorted({str(call.get("model")) for call in calls if call.get("model") and call.get("cost_usd") is None})
    parts = [f"${sum(paid):.4f}"] if paid else []
    return ", ".join(parts + [f"no price for {name}" for name in unpriced]) or "$0.0000"
