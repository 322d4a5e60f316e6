"""Requests of one process that want to claim the same session, in order of arrival (docs/scenarios.md S28)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from errors import QueueFull, SessionBusy


@dataclass
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    requests: int = 0
    """How many wait for the lock or hold it."""


class ClaimQueues:
    """One queue for each session that requests wait to claim."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    @property
    def waiting(self) -> int:
        """How many requests of the process wait for their session, besides the one of each that may claim it."""
        return sum(queue.requests - 1 for queue in self._queues.values())

    @asynccontextmanager
    async def turn(self, session_id: str, wait_s: float, max_waiting: int) -> AsyncIterator[float]:
        """Wait for the right to claim a session; gives the moment (of the loop's clock) until which to wait for it.

        Raises QueueFull when `max_waiting` requests wait already, SessionBusy when that moment passes in the queue.
        Only the waiting is limited, never a claim: a claim
        that is cut off while it commits would take a message and say that it did not.
        """
        deadline = asyncio.get_running_loop().time() + wait_s
        queue = self._queues.setdefault(session_id, _Queue())
        if queue.requests > max_waiting:
            raise QueueFull
        queue.requests += 1
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    await queue.lock.acquire()
            except TimeoutError as error:
                raise SessionBusy from error
            try:
                yield deadline
            finally:
                queue.lock.release()
        finally:
            queue.requests -= 1
            if not queue.requests:
                self._queues.pop(session_id, None)
