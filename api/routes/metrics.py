"""`GET /metrics`: the numbers of the service for Prometheus, over all owners, counts only."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from starlette.responses import PlainTextResponse

from api.dependencies import WatchedEngine, refusals
from runs.keep.figures import own_figures
from storage import figures
from telemetry.meters import Sample

router = APIRouter()
PREFIX = "agent_runtime_"
MEDIA_TYPE = "text/plain; version=0.0.4"
HELP = {
    "info": "The version of the runtime.",
    "sessions": "Sessions in the database.",
    "runs": "Runs in the database by status.",
    "tool_calls": "Tool calls in the database by tool and state.",
    "llm_calls": "Model calls in the database by agent, model, purpose and outcome.",
    "llm_call_seconds": "Seconds spent in model calls in the database.",
    "llm_tokens": "Tokens of the model calls in the database.",
}


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **refusals(503)},
)
async def prometheus(engine: WatchedEngine) -> PlainTextResponse:
    """Show the numbers of the processes here and of their database; gauges, because a hard delete takes rows away."""
    async with engine.database.autocommit() as tx:
        stored = await figures.samples(tx)
    engine.meters.show(own_figures(engine))
    info = Sample("info", {"version": engine.settings.version}, 1)
    return PlainTextResponse(exposition([info, *stored]) + engine.meters.exposition(), media_type=MEDIA_TYPE)


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
