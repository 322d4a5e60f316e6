"""What is read of one process at the moment, for its gauges (docs/metrics.md)."""

from __future__ import annotations

from runs.engine import Engine
from telemetry.meters import Sample


def own_figures(engine: Engine) -> list[Sample]:
    """Read runs, waiting requests, breakers, the connection pool, and what the models' replies needed."""
    name, counts = engine.models.name, engine.models.counts
    found = [
        Sample("processes", {}, 1),
        Sample("active_runs", {}, len(engine.tasks)),
        Sample("draining", {}, int(engine.is_draining)),
        Sample("waiting_requests", {}, engine.waiting_requests),
    ]
    found += [
        Sample("breaker_open", {"model": models.name}, int(models.breaker.state != "closed"))
        for models in (engine.models, engine.models.fallback)
        if models is not None
    ]
    found += [
        Sample("llm_adaptations", {"model": name, "kind": kind, "name": what}, number)
        for (kind, what), number in sorted(counts.items())
        if kind != "tokens"
    ]
    if counts["tokens", "cached"]:
        parts = (("all", "prompt"), ("cached", "cached"))
        found += [
            Sample("llm_prompt_tokens", {"model": name, "part": part}, counts["tokens", key]) for part, key in parts
        ]
    pool = engine.database.pool_figures()
    return [*found, *(Sample("db_pool", {"figure": figure}, number) for figure, number in pool.items())]
