"""What every part of `runs` works with: one object per process, made by the server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl

from agents.classification_cache import Routes
from errors import NotReady, SessionBusy
from llm.chat_model import Models
from policy.rules import Rules
from runs.broadcast import Live
from settings import Settings
from storage.checkpoints import Checkpoints
from storage.database import Database

MAX_WORKER = 2**31 - 1


@dataclass
class Engine:
    """The parts of one process, and the runs that it drives."""

    settings: Settings
    database: Database
    checkpoints: Checkpoints
    graph: CompiledStateGraph[Any, Any, Any, Any]
    models: Models
    rules: Rules
    live: Live
    worker: int = field(default_factory=lambda: 2 + secrets.randbelow(MAX_WORKER - 2))
    """The number of this process; on PostgreSQL the key of the advisory lock that it holds while it lives."""
    routes: Routes = field(default_factory=Routes)
    """What was classified before in this process."""
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """The task that drives each run, by run id."""
    controls: dict[str, RunControl] = field(default_factory=dict)
    """The switch that stops each run at its next superstep, by run id."""
    cancelling: set[str] = field(default_factory=set)
    """Runs whose task was cancelled because somebody asked for it."""
    is_draining: bool = False
    """No run is started or taken over any more."""
    is_halted: bool = False
    """What still runs is let go at once: another process goes on with it."""
    _doors: dict[str, Door] = field(default_factory=dict)

    def refuse_while_draining(self) -> None:
        """Raise NotReady in a process that is about to end: the next one takes the request."""
        if self.is_draining:
            raise NotReady("The server is restarting; send the request again.")

    def cancel(self, run_id: str) -> asyncio.Task[None] | None:
        """Stop a run that is driven here because somebody asked for it; its task, or None."""
        task = self.tasks.get(run_id)
        if task is not None and run_id not in self.cancelling:
            self.cancelling.add(run_id)
            task.cancel()
        return task

    @asynccontextmanager
    async def turn_at(self, session_id: str) -> AsyncIterator[float]:
        """Wait in order of arrival for the right to claim a session; gives the moment until which one may wait.

        Raises SessionBusy when that moment passes in the queue. Only the waiting is limited, never a claim: a claim
        that is cut off while it commits would take a message and say that it did not.
        """
        deadline = asyncio.get_running_loop().time() + self.settings.session_wait_seconds
        door = self._doors.setdefault(session_id, Door())
        door.waiting += 1
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    await door.lock.acquire()
            except TimeoutError as error:
                raise SessionBusy from error
            try:
                yield deadline
            finally:
                door.lock.release()
        finally:
            door.waiting -= 1
            if not door.waiting:
                self._doors.pop(session_id, None)


@dataclass
class Door:
    """Who wants to claim one session queues here."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
