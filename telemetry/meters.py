"""What one process counts: for Prometheus (docs/metrics.md), and for the limits of its owners (docs/settings.md)."""

from __future__ import annotations

import os
import time
from collections import Counter as PerOwner
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from errors import Overloaded, TooManyAtOnce

PREFIX = "agent_runtime_"
OTHER = "other"
"""The label of a name that a model or its server made up: labels are bounded."""
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_AGES = (5, 15, 60, 300, 900, 3600, 14_400, 86_400)
_WRITES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
WITHOUT_USER = 10
"""A principal without an end user may be a gateway in front of many: its limits are so many times higher."""
_GAUGES = {
    "processes": ("Server processes behind this address.", "livesum", ()),
    "active_runs": ("Runs that are driven at the moment.", "livesum", ()),
    "draining": ("Processes that are shutting down.", "livesum", ()),
    "waiting_requests": ("Requests that wait for another run of their session.", "livesum", ()),
    "breaker_open": ("Whether the model's server is left alone.", "livemax", ("model",)),
    "db_pool": (
        "Connections to PostgreSQL: in the pool (size), free (available), waited for (waiting).",
        "livesum",
        ("figure",),
    ),
    "llm_adaptations": (
        "Repairs of replies (repair) and changes of requests (change) by model.",
        "sum",
        ("model", "kind", "name"),
    ),
    "llm_prompt_tokens": (
        "Prompt tokens by model, all, and those that the server had in its cache.",
        "sum",
        ("model", "part"),
    ),
}
"""Numbers that are read, not counted: help, how it is added up over the processes of one address, labels."""


@dataclass(frozen=True)
class Sample:
    """One value of a metric with its labels."""

    metric: str
    labels: dict[str, str]
    value: float


class Meters:
    """What one process has counted since its start. Labels hold no ids and no text of users or models.

    Under `serving.supervisor` prometheus_client keeps the numbers in files, and `exposition` adds up all processes.
    """

    def __init__(self, model: str, tools: Iterable[str], others: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        self._model = model
        self._models = frozenset((model, *others))
        self._tools = frozenset(tools)
        self._turns = self._counter("turns", "Turns and parts of turns that ended, by outcome.", "outcome")
        self._turn_seconds = self._histogram(
            "turn_seconds", "From the claim of a session to its end of turn.", _SECONDS
        )
        self._first_text = self._histogram(
            "first_text_seconds", "From the claim of a session to the first text of its answer.", _SECONDS
        )
        self._llm = self._counter(
            "llm_requests", "Model calls by model, purpose and result.", "model", "purpose", "result"
        )
        self._llm_seconds = self._histogram("llm_request_seconds", "Time of model calls, retries included.", _SECONDS)
        self._tokens = self._counter("llm_request_tokens", "Tokens of model calls.", "model", "kind")
        self._verdicts = self._counter("tool_verdicts", "Tool calls judged, by tool and verdict.", "tool", "verdict")
        self._results = self._counter("tool_results", "Tool calls settled, by tool and state.", "tool", "state")
        self._tool_seconds = self._histogram("tool_seconds", "From a tool call to its result.", _AGES)
        self._approvals = self._counter("approvals", "Approvals decided, by tool and decision.", "tool", "decision")
        self._approval_seconds = self._histogram("approval_seconds", "Age of approvals when they were decided.", _AGES)
        self._routes = self._counter("routes", "Changes of the agent, by how they came about.", "method")
        self._log_seconds = self._histogram("log_append_seconds", "Time of appending to the event log.", _WRITES)
        self._streams = self._gauge("open_streams", "Streams of events that are open.", "livesum")
        self._refused = self._counter("refused", "Requests refused by a limit, by limit.", "limit")
        self._webhooks = self._counter("webhooks", "Webhook deliveries tried, by result.", "result")
        self._read = {name: self._gauge(name, told, mode, *labels) for name, (told, mode, labels) in _GAUGES.items()}

    @property
    def is_shared(self) -> bool:
        """Whether the numbers of several processes are added up."""
        return "PROMETHEUS_MULTIPROC_DIR" in os.environ

    def show(self, samples: Iterable[Sample]) -> None:
        """Set gauges to what was read of this process."""
        for sample in samples:
            gauge = self._read[sample.metric]
            (gauge.labels(**sample.labels) if sample.labels else gauge).set(sample.value)

    def exposition(self) -> str:
        """Write all numbers in Prometheus' text format."""
        registry = self.registry
        if self.is_shared:
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry).decode()

    def turn_ended(
        self,
        outcome: str,
        *,
        started: float | None = None,
        first_text: float | None = None,
        llm_calls: Iterable[Mapping[str, Any]] = (),
        audit: Iterable[Any] = (),
        judged: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Count one attempt that was closed: `started` and `first_text` by `time.monotonic()`.

        `judged` are pairs of tool and verdict; `llm_calls` are rows of that table, `audit` entries of that one.
        """
        self._turns.labels(outcome).inc()
        if started is not None:
            self._turn_seconds.observe(time.monotonic() - started)
            if first_text is not None:
                self._first_text.observe(first_text - started)
        for call in llm_calls:
            self._count_model_call(call)
        for tool, verdict in judged:
            self._verdicts.labels(self._tool(tool), verdict).inc()
        for entry in audit:
            if entry.event == "agent_switched":
                self._routes.labels(entry.details.get("classification_method", OTHER)).inc()
            elif entry.event == "denial":
                self._verdicts.labels(self._tool(entry.tool_name), "deny").inc()

    def decided(self, tool: str, decision: str, age_s: float | None) -> None:
        """Count an approval that was decided, implied, or that expired."""
        self._approvals.labels(self._tool(tool), decision).inc()
        if age_s is not None:
            self._approval_seconds.observe(max(0.0, age_s))

    def settled(self, tool: str, state: str, age_s: float) -> None:
        """Count a tool call that reached its last state."""
        self._results.labels(self._tool(tool), state).inc()
        self._tool_seconds.observe(max(0.0, age_s))

    def refused(self, limit: str) -> None:
        """Count a request that a limit refused."""
        self._refused.labels(limit).inc()

    def delivered(self, result: str) -> None:
        """Count one try to deliver a webhook."""
        self._webhooks.labels(result).inc()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count a stream while it is open."""
        with self._streams.track_inprogress():
            yield

    @contextmanager
    def append(self) -> Iterator[None]:
        """Measure one append to the event log."""
        with self._log_seconds.time():
            yield

    def _count_model_call(self, call: Mapping[str, Any]) -> None:
        named = call.get("model") or self._model
        model = named if named in self._models else self._model
        self._llm.labels(model, call["purpose"], call.get("error") or call["outcome"]).inc()
        self._llm_seconds.observe(call["duration_ms"] / 1000)
        for kind in ("prompt", "completion"):
            self._tokens.labels(model, kind).inc(call.get(f"{kind}_tokens") or 0)

    def _tool(self, name: str | None) -> str:
        return name if name in self._tools else OTHER

    def _gauge(self, name: str, told: str, mode: Any, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, told, labels, registry=self.registry, multiprocess_mode=mode)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, told, labels, registry=self.registry)

    def _histogram(self, name: str, told: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(PREFIX + name, told, buckets=buckets, registry=self.registry)


class Load:
    """The running runs and open streams of each owner in this process; an owner without any is not stored."""

    def __init__(self, max_runs: int, max_runs_per_owner: int, max_streams: int) -> None:
        self._max_runs = max_runs
        self._max_runs_per_owner = max_runs_per_owner
        self._max_streams = max_streams
        self._runs: dict[str, str | None] = {}
        self._runs_of: PerOwner[str | None] = PerOwner()
        self._streams_of: PerOwner[str | None] = PerOwner()

    def admit(self, run_id: str, owner: str) -> None:
        """Count a new run from now on; raises TooManyAtOnce or Overloaded when the owner may start none.

        An owner may start a run while fewer runs of it are running than places are free: one alone takes half of the
        process, n owners 1/(n+1) each, and the next owner finds a place.
        """
        if run_id in self._runs:
            return
        own, limit = self._runs_of[owner], limit_of(owner, self._max_runs_per_owner)
        if limit and own >= limit:
            raise TooManyAtOnce("Too many runs of this owner are running", limit=limit, kind="runs")
        if self._max_runs and own >= limit_of(owner, self._max_runs - len(self._runs)):
            raise Overloaded(kind="capacity")
        self.run_begins(run_id, owner)

    def run_begins(self, run_id: str, owner: str | None) -> None:
        """Count a run until it ends here, of no owner when it was taken over; one that is counted stays so."""
        if run_id not in self._runs:
            self._runs[run_id] = owner
            self._runs_of[owner] += 1

    def run_ends(self, run_id: str) -> None:
        """Count a run no more; it need not have been counted."""
        if run_id in self._runs:
            _leave(self._runs_of, self._runs.pop(run_id))

    def check_streams(self, owner: str) -> None:
        """Raise TooManyAtOnce when the owner may open no further stream now."""
        limit = limit_of(owner, self._max_streams)
        if limit and self._streams_of[owner] >= limit:
            raise TooManyAtOnce("Too many streams of this owner are open", limit=limit, kind="streams")

    @contextmanager
    def stream(self, owner: str) -> Iterator[None]:
        """Count a stream while it is open."""
        self._streams_of[owner] += 1
        try:
            yield
        finally:
            _leave(self._streams_of, owner)


def limit_of(owner: str, limit: int) -> int:
    """Return the limit that holds for an owner; 0 is none."""
    return limit if "/" in owner else limit * WITHOUT_USER


def _leave(counts: PerOwner[str | None], owner: str | None) -> None:
    counts[owner] -= 1
    if counts[owner] <= 0:
        del counts[owner]
