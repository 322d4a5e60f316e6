"""The parts that every module of `runs` works with: one object per process, made by the server."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any

from agents.classification_cache import ClassificationCache
from llm.chat_model import Models
from policy.rules import Rules
from runs.decision.contract import Terms
from runs.log.broadcast import Broadcast
from runs.log.writer import LogWriter
from runs.unwritable import Unwritable
from settings import Settings
from storage.database import Database
from telemetry.meters import Load, Meters
from tools.catalog import TOOLS

if TYPE_CHECKING:  # an idle process has no use for them
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.runtime import RunControl

    from storage.checkpoints import Checkpoints


@dataclass(frozen=True)
class Known:
    """What the context of a run takes from its session."""

    environment: dict[str, Any] | None
    switch_count: int
    owner: str
    rules: tuple[dict[str, Any], ...]
    """What the session remembers to allow, oldest first."""


@dataclass
class ClaimQueue:
    """The requests of this process that want to claim one session, in order of arrival (docs/scenarios.md S28)."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    requests: int = 0
    """How many wait for the lock or hold it."""


@dataclass
class Lease:
    """How long no other worker can have taken over a run of this process, by its monotonic clock; on SQLite always."""

    until: float = inf
    """Renewed before this moment the lease is unbroken."""
    since: float = -inf
    """Since when it is unbroken."""

    def renew(self, until: float, *, is_new: bool = False) -> None:
        """Note a renewal; one that comes late, or on a new connection, leaves a gap in which runs may be lost."""
        if is_new or time.monotonic() >= self.until:
            self.since = time.monotonic()
        self.until = until


@dataclass(frozen=True)
class LoadedGraph:
    """What runs are driven with, and what LangGraph is imported for."""

    graph: CompiledStateGraph[Any, Any, Any, Any]
    checkpoints: Checkpoints


MAX_WORKER = 2**31 - 1


@dataclass
class Engine:
    """The parts of one process, and the runs that it drives."""

    settings: Settings
    database: Database
    graph_loader: Callable[[], Awaitable[LoadedGraph]]
    """Imports LangGraph and builds the graph; `load_graph` calls it."""
    models: Models
    rules: Rules
    broadcast: Broadcast
    worker: int = field(default_factory=lambda: 2 + secrets.randbelow(MAX_WORKER - 2))
    """The number of this process; on PostgreSQL the key of its liveness lock, an advisory lock."""
    lease: Lease = field(default_factory=Lease)
    """The lease of this process."""
    classifications: ClassificationCache = field(default_factory=ClassificationCache)
    """The classifications of this process."""
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """The task that drives each run, by run id."""
    controls: dict[str, RunControl] = field(default_factory=dict)
    """Stops each run at its next superstep, by run id."""
    cancelling: set[str] = field(default_factory=set)
    """Runs whose task was cancelled on request."""
    unwritable: Unwritable = field(default_factory=Unwritable)
    """Runs whose take-over, and webhooks whose try, could not be written."""
    is_draining: bool = False
    """Whether no run is started or taken over any more."""
    is_halted: bool = False
    """Whether running tasks end at once, without closing: another process takes their runs over."""
    claims: dict[str, ClaimQueue] = field(default_factory=dict)
    """The requests that want to claim a session, by session id."""
    graph: CompiledStateGraph[Any, Any, Any, Any] = field(init=False)
    """The graph, once `load_graph` has returned."""
    checkpoints: Checkpoints = field(init=False)
    """The checkpointer, once `load_graph` has returned."""
    _loading: asyncio.Future[LoadedGraph] | None = None

    @property
    def waiting_requests(self) -> int:
        """How many requests wait for their session, besides the one of each session that may claim it."""
        return sum(queue.requests - 1 for queue in self.claims.values())

    async def load_graph(self) -> None:
        """Load LangGraph and the graph, once; whoever claims, drives or reads a thread awaits this first."""
        if self._loading is None or (self._loading.done() and self._loading.exception() is not None):
            self._loading = asyncio.ensure_future(self.graph_loader())
        loaded = await asyncio.shield(self._loading)  # a client that leaves does not stop it
        self.graph, self.checkpoints = loaded.graph, loaded.checkpoints

    async def close_graph(self) -> None:
        """Close the checkpointer, where it was loaded."""
        if self._loading is not None:
            await asyncio.wait([self._loading])
            if self._loading.exception() is None:
                await self._loading.result().checkpoints.close()

    @cached_property
    def load(self) -> Load:
        """What the owners use of this process at the moment."""
        chosen = self.settings
        return Load(chosen.max_runs, chosen.max_runs_per_owner, chosen.max_streams_per_owner)

    @cached_property
    def meters(self) -> Meters:
        """What this process counts for Prometheus."""
        others = [self.models.fallback.name] if self.models.fallback is not None else []
        return Meters(self.models.name, [tool.name for tool in TOOLS], others)

    @cached_property
    def log_writer(self) -> LogWriter:
        """Appends what the runs say."""
        return LogWriter(self.database, self.broadcast, self.meters)

    @cached_property
    def terms(self) -> Terms:
        """What decisions depend on."""
        return Terms.of(self.settings, self.rules)

    def cancel(self, run_id: str) -> asyncio.Task[None] | None:
        """Stop a run of this process on request; its task, or None when it is not driven here."""
        task = self.tasks.get(run_id)
        if task is not None and run_id not in self.cancelling:
            self.cancelling.add(run_id)
            task.cancel()
        return task
