"""SIGTERM: first the runs come to an end or to a boundary and the rest is handed over, then the server stops."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from runs.keep.worker import Worker

_log = logging.getLogger("runs.shutdown")


@contextmanager
def drain_before_exit(worker: Worker, within_s: float) -> Iterator[None]:
    """Put the drain before what SIGTERM does in this process; a second SIGTERM does not wait for it.

    While it drains the process still answers: new runs get 503, open streams show what the runs still say.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    stop, loop = previous, asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    async def drain(number: int, frame: FrameType | None) -> None:
        _log.info("draining", extra={"action": "draining"})
        try:
            await worker.drain(within_s)
        finally:
            stop(number, frame)

    def begin(number: int, frame: FrameType | None) -> None:
        if draining:
            stop(number, frame)
        else:
            draining.append(loop.create_task(drain(number, frame)))

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin, number, frame)

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is on_signal:
            signal.signal(signal.SIGTERM, previous)
