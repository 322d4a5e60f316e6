"""What every part of `runs` works with: one object per process, made by the server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from langgraph.graph.state import CompiledStateGraph
from policy.rules import Rules

from errors import SessionBusy
from llm.models import Models
from nodes.routes import Routes
from runs.live import Feed, Live
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
    """What this process classified before."""
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """The task that drives each run, by run id."""
    cancelling: set[str] = field(default_factory=set)
    """Runs whose task was cancelled because somebody asked for it."""
    is_draining: bool = False
    _doors: dict[str, Door] = field(default_factory=dict)

    @asynccontextmanager
    async def turn_at(self, session_id: str) -> AsyncIterator[Door]:
        """Wait in order of arrival for the right to claim a session; raises SessionBusy when it takes too long."""
        door = self._doors.setdefault(session_id, Door())
        door.waiting += 1
        try:
            async with asyncio.timeout(self.settings.session_wait_seconds) as limit:
                async with door.lock:
                    with self.live.watch(session_id) as feed:
                        door.feed, door.limit = feed, limit
                        yield door
        except TimeoutError as error:
            raise SessionBusy from error
        finally:
            door.waiting -= 1
            if not door.waiting:
                self._doors.pop(session_id, None)


@dataclass
class Door:
    """Who wants to claim one session queues here."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    feed: Feed = field(default_factory=Feed)
    limit: asyncio.Timeout | None = None

    def opened(self) -> None:
        """The claim succeeded: what follows is not waiting any more."""
        if self.limit is not None:
            self.limit.reschedule(None)
