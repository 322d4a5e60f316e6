"""Follows the log of a session in a thread while the client waits for a person."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

import httpx

from client.session import ServerRefused, ServerUnreachable, Session
from wire.protocol import Chunk

RETRY_S = 1.0
JOIN_S = 2.0


class LogWatch:
    """Passes every entry of the log after a number to `take`, in a thread, until the block ends.

    A connection that breaks is opened again. Errors are not reported here: the request that follows the person's
    answer fails in the same way and reports it.
    """

    def __init__(self, session: Session, after: int, take: Callable[[int, Chunk], None]) -> None:
        self._session = session
        self._after = after
        self._take = take
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._run, name="log-watch", daemon=True)

    def __enter__(self) -> LogWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stopping.set()
            if self._response is not None:
                _shut_down(self._response)
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                for seq, chunk in self._session.log_after(self._after, follow=True, opened=self._hold):
                    self._after = seq
                    self._take(seq, chunk)
            except ServerUnreachable:
                pass  # opened again below
            except ServerRefused as refusal:
                if not refusal.is_passing:
                    return
            self._stopping.wait(RETRY_S)

    def _hold(self, response: httpx.Response) -> None:
        with self._lock:
            self._response = response
            if self._stopping.is_set():
                _shut_down(response)


def _shut_down(response: httpx.Response) -> None:
    """Wake the thread that reads the response: closing it from another thread would not."""
    connection = response.extensions["network_stream"].get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
