"""The relay of the original gateways: WebSocket messages in, `data: ` lines out, one POST at a time."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping
from typing import Any

import httpx

READ_TIMEOUT_S = 60.0


class Gateway:
    """Forwards each message as one POST, strictly in order, and sends back what the original's line reader lets pass.

    It reads with `str.splitlines`, accepts only lines that begin with `data: `, ignores comments and everything else,
    parses each line by itself, and drops the request after 60 s without bytes.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        session_id: str | None = None,
        version: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.session_id = session_id
        self.version = version
        self.dropped: list[str] = []
        """Messages whose request was dropped for silence, and lines that were no JSON."""
        self.comments = 0
        timeout = httpx.Timeout(10, read=READ_TIMEOUT_S)
        sent = {"X-Internal-Auth": key, **(headers or {})}
        self._client = httpx.Client(base_url=base_url, headers=sent, timeout=timeout, trust_env=False)
        self._inbox: queue.Queue[tuple[dict[str, Any], queue.Queue[Any]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._relay, name="gateway", daemon=True)
        self._thread.start()

    def send(self, message: dict[str, Any]) -> queue.Queue[Any]:
        """A WebSocket message; its chunks come one by one, then the response as the end."""
        out: queue.Queue[Any] = queue.Queue()
        self._inbox.put((message, out))
        return out

    def close(self) -> None:
        """The WebSocket is closed."""
        self._inbox.put(None)
        self._thread.join(READ_TIMEOUT_S)
        self._client.close()

    def _relay(self) -> None:
        while (item := self._inbox.get()) is not None:
            message, out = item
            try:
                self._post(message, out)
            except httpx.ReadTimeout:
                self.dropped.append(json.dumps(message))
                out.put(httpx.Response(504))

    def _post(self, message: dict[str, Any], out: queue.Queue[Any]) -> None:
        body: dict[str, Any] = {"message": message}
        if self.session_id is not None:
            body["session_id"] = self.session_id
        if self.version is not None:
            body["message"] = {**message, "protocol_version": self.version}  # it forwards nothing beside `message`
        with self._client.stream("POST", "/agent/message/stream", json=body) as response:
            if response.status_code != 200:
                response.read()
                out.put(response)
                return
            pending = ""
            for text in response.iter_text():
                lines = (pending + text).splitlines(keepends=True)
                pending = lines.pop() if lines and lines[-1].splitlines()[0] == lines[-1] else ""
                for line in lines:
                    self._take(line.splitlines()[0], out)
            if pending:
                self._take(pending, out)
        out.put(response)

    def _take(self, line: str, out: queue.Queue[Any]) -> None:
        if line.startswith(":"):
            self.comments += 1
        if not line.startswith("data: "):
            return
        try:
            out.put(json.loads(line.removeprefix("data: ")))
        except ValueError:
            self.dropped.append(line)


def received(out: queue.Queue[Any], timeout_s: float = 100) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """Everything that came for one message: the response and its chunks."""
    chunks = []
    while not isinstance(item := out.get(timeout=timeout_s), httpx.Response):
        chunks.append(item)
    return item, chunks
