"""What every part of `runs` works with: one object per process, made by the server."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl

from agents.classification_cache import Routes
from errors import NotReady
from llm.chat_model import Models
from policy.rules import Rules
from runs.broadcast import Live
from runs.claim_queue import ClaimQueues
from runs.decision.view import Terms
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
    claims: ClaimQueues = field(default_factory=ClaimQueues)
    """Who waits to claim which session."""

    @cached_property
    def terms(self) -> Terms:
        """What decisions depend on."""
        return Terms.of(self.settings, self.rules)

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
