"""`GET /metrics`: the numbers of the service for Prometheus, over all owners, counts only."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from prometheus_client import generate_latest
from starlette.responses import PlainTextResponse

from api.dependencies import OpenEngine, refusals
from runs.engine import Engine
from storage import figures
from storage.figures import Sample

router = APIRouter()
PREFIX = "agent_runtime_"
MEDIA_TYPE = "text/plain; version=0.0.4"
HELP = {
    "info": "The version of the runtime.",
    "active_runs": "Runs that this process drives at the moment.",
    "draining": "Whether this process is shutting down.",
    "waiting_requests": "Requests of this process that wait for another run of their session.",
    "breaker_open": "Whether the model's server is left alone by this process.",
    "db_pool": "Connections to PostgreSQL of this process: in the pool (size), free (available), waited for (waiting).",
    "sessions": "Sessions in the database.",
    "runs": "Runs in the database by status.",
    "tool_calls": "Tool calls in the database by tool and state.",
    "llm_calls": "Model calls in the database by agent, model, purpose and outcome.",
    "llm_call_seconds": "Seconds spent in model calls in the database.",
    "llm_adaptations": "Repairs of replies (repair) and changes of requests (change) by model, in this process.",
    "llm_prompt_tokens": "Prompt tokens of this process by model, all, and those that the server had in its cache.",
    "llm_tokens": "Tokens of the model calls in the database.",
}


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **refusals(503)},
)
async def prometheus(engine: OpenEngine) -> PlainTextResponse:
    """Show the numbers of this process and of its database; gauges, because a hard delete takes rows away."""
    async with engine.database.autocommit() as tx:
        stored = await figures.samples(tx)
    name, counts = engine.models.name, engine.models.counts
    own = [
        Sample("info", {"version": engine.settings.version}, 1),
        Sample("active_runs", {}, len(engine.tasks)),
        Sample("draining", {}, int(engine.is_draining)),
        Sample("waiting_requests", {}, engine.claims.waiting),
        *(
            Sample("breaker_open", {"model": models.name}, int(models.breaker.state != "closed"))
            for models in (engine.models, engine.models.fallback)
            if models is not None
        ),
        *(
            Sample("llm_adaptations", {"model": name, "kind": kind, "name": what}, number)
            for (kind, what), number in sorted(counts.items())
            if kind != "tokens"
        ),
        *(
            Sample("llm_prompt_tokens", {"model": name, "part": part}, counts["tokens", key])
            for part, key in (("all", "prompt"), ("cached", "cached"))
            if counts["tokens", "cached"]
        ),
    ]
    text = exposition([*own, *_pool(engine), *stored]) + generate_latest(engine.meters.registry).decode()
    return PlainTextResponse(text, media_type=MEDIA_TYPE)


def _pool(engine: Engine) -> list[Sample]:
    found = engine.database.pool_figures()
    return [Sample("db_pool", {"figure": name}, number) for name, number in found.items()]


def exposition(samples: Iterable[Sample]) -> str:
    """Write samples in Prometheus' text format as gauges, each metric with its help and type."""
    lines: list[str] = []
    by_metric: dict[str, list[Sample]] = {}
    for sample in samples:
        by_metric.setdefault(sample.metric, []).append(sample)
    for metric, found in by_metric.items():
        lines += [f"# HELP {PREFIX}{metric} {HELP[metric]}", f"# TYPE {PREFIX}{metric} gauge"]
        lines += [f"{PREFIX}{metric}{_labels(s.labels)} {s.value:g}" for s in found]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    pairs = (f'{key}="{_escaped(value)}"' for key, value in labels.items())
    return "{" + ",".join(pairs) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
