"""One connection of a client, within limits: how long it may send a request and leave what it was sent unread."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@dataclass(frozen=True)
class ClientLimits:
    """How long the server waits for a client, in seconds."""

    header_s: float = 10.0
    """From the first byte of a request, or the opening of the connection, to the end of its header."""
    body_s: float = 30.0
    """Between two pieces of a body."""
    unread_s: float = 20.0
    """While the client takes nothing of what was sent to it."""
    idle_farewell_s: float = 1.5
    """For an idle connection when the server stops: a proxy that keeps it may be sending a request on it."""
    farewell_s: float = 1.0
    """For what is still unsent when the server stops."""


MAX_HEADER_BYTES = 65_536
CLOSING_S = 2
"""For the responses that are still open when the runs have ended."""


class BoundedConnection(HttpToolsProtocol):
    """Closes the connection of a client that stops in the middle of a request, or stops reading.

    A write waits until the one before has left the process: a reader holds what one write takes, however far behind.
    """

    limits = ClientLimits()
    _header_bytes: int | None = 0
    """Of the header that is being received; None when there is none."""
    _receiving: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None
    _unsent_bytes = 0
    _is_leaving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first header."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)
        self._await_client(self.limits.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        for timer in (self._receiving, self._sending):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request; a header has so many at most."""
        super().data_received(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin to receive a header."""
        super().on_message_begin()
        self._header_bytes = 0
        self._await_client(self.limits.header_s)

    def on_headers_complete(self) -> None:
        """Begin to receive a body."""
        super().on_headers_complete()
        self._header_bytes = None
        self._await_client(self.limits.body_s)
        if self._is_leaving:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Receive a piece of a body."""
        super().on_body(body)
        self._await_client(self.limits.body_s)

    def on_message_complete(self) -> None:
        """End a request; uvicorn limits how long an idle connection is kept."""
        super().on_message_complete()
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Send on: all has left the process."""
        super().resume_writing()
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def shutdown(self) -> None:
        """Let the response end, or answer one more request; what is still unsent after the farewell stays so."""
        self._is_leaving = True
        self.loop.call_later(self.limits.farewell_s, self._end)
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr] # None at first
            super().shutdown()
        else:
            self.loop.call_later(self.limits.idle_farewell_s, super().shutdown)

    def _end(self) -> None:
        if self.flow.write_paused or self.transport.is_closing():
            self.transport.abort()
        elif self in self.connections:
            self.loop.call_later(self.limits.farewell_s, self._end)

    def _await_client(self, limit_s: float) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
        self._receiving = self.loop.call_later(limit_s, self._check_client, limit_s)

    def _check_client(self, limit_s: float) -> None:
        if self.flow.read_paused:  # it is we who do not read
            self._await_client(limit_s)
        else:
            self.transport.abort()

    def _await_reader(self) -> None:
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._sending = self.loop.call_later(self.limits.unread_s, self._check_reader)

    def _check_reader(self) -> None:
        if self.transport.get_write_buffer_size() < self._unsent_bytes:
            self._await_reader()
        else:
            self.transport.abort()


def server_config(app: Any, *, limits: ClientLimits | None = None, **options: Any) -> uvicorn.Config:
    """Make the configuration with which every server of the runtime is started."""
    chosen = type("Connection", (BoundedConnection,), {"limits": limits or ClientLimits()})
    told: dict[str, Any] = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": CLOSING_S, **options}
    return uvicorn.Config(app, http=chosen, ws="none", **told)
