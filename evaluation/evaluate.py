"""One evaluation: routing and tasks with a scripted, recorded or live model, measured (docs/evaluation.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from errors import ConfigurationError
from evaluation.recording import Recording
from evaluation.report import Report, routing_figures, task_figures
from evaluation.routing import route
from evaluation.tasks import TASKS, Task, read_requests, read_tasks
from evaluation.trial import Trial, run_trial
from llm.chat_model import BUILT_IN_MODEL, Endpoint, Models
from llm.prices import read_prices
from prompts.size import ChosenSize

Result = TypeVar("Result")


@dataclass(frozen=True)
class EvalOptions:
    """What to measure, and with which model."""

    model: str = BUILT_IN_MODEL
    endpoint: Endpoint = field(default_factory=Endpoint)
    """Where the model is and how it is asked."""
    requests: Path | None = None
    """Labelled requests for routing; None measures no routing."""
    tasks: Path | None = TASKS
    """Labelled tasks; None measures no tasks."""
    agents: frozenset[str] = frozenset()
    """Only the tasks of these agents; empty: of all."""
    limit: int | None = None
    """The largest number of each."""
    keywords: bool = False
    """Route by keywords, without a model."""
    reprompt: bool = True
    prompt_size: ChosenSize = "auto"
    """Which prompts the agents get."""
    record: Path | None = None
    """The file to which the live model's replies are written."""
    replay: Path | None = None
    """The file from which the replies are read; no model is asked."""
    resume: bool = False
    """Whether replies that the file of `record` holds already are taken from it, and only others asked for."""
    repeats: int = 1
    """How often each task and request is measured."""
    concurrency: int = 1
    """How many run at the same time; replays run one after the other."""
    prices: Path | None = None
    """An operator's prices, before the shipped ones."""


async def evaluate(options: EvalOptions, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Measure; `progress` receives one line per result. Labels are read before a model is asked."""
    _refuse_contradictions(options)
    requests = read_requests(options.requests)[: options.limit] if options.requests is not None else None
    tasks = _chosen(read_tasks(options.tasks), options) if options.tasks is not None else None
    if not requests and not tasks:
        raise ConfigurationError("There is nothing to measure: name --requests or --tasks that hold at least one line.")
    live = Models(model=options.model, endpoint=options.endpoint)
    models: Any = live
    source = "scripted model" if options.model == BUILT_IN_MODEL else f"live, {options.endpoint.proxy_url}"
    if options.replay is not None:
        models, source = Recording(options.replay), f"recording {options.replay.name}"
    elif options.record is not None:
        models = Recording(options.record, live, resumed=options.resume)
    labels = [path.name for path in (options.requests, options.tasks) if path is not None]
    report: Report = {"model": options.model, "source": source, "labels": labels, "reprompt": options.reprompt}
    report |= {"repeats": options.repeats, "prompt_size": options.prompt_size}
    prices = read_prices(options.prices)
    at_once = 1 if options.replay is not None or options.resume else options.concurrency
    try:
        if requests is not None:
            router = None if options.keywords else models
            routed = await _each([partial(route, one, router) for one in requests] * options.repeats, at_once)
            progress(f"routing: {sum(r.right for r in routed)} of {len(routed)} right")
            report["routing"] = routing_figures(routed)
        if tasks is not None:

            async def measured(task: Task) -> Trial:
                trial = await run_trial(task, models, reprompt=options.reprompt, prompt_size=options.prompt_size)
                progress(_line(trial))
                return trial

            trials = await _each([partial(measured, task) for task in tasks] * options.repeats, at_once)
            report["tasks"] = task_figures(trials, options.model, prices)
    finally:
        await live.aclose()
    return report


async def _each(works: Sequence[Callable[[], Awaitable[Result]]], at_once: int) -> list[Result]:
    """Run all, so many at once; the results stay in order."""
    slots = asyncio.Semaphore(at_once)

    async def run(work: Callable[[], Awaitable[Result]]) -> Result:
        async with slots:
            return await work()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(work)) for work in works]
    return [task.result() for task in tasks]


def _refuse_contradictions(options: EvalOptions) -> None:
    if options.resume and options.record is None:
        raise ConfigurationError("--resume goes on with the recording of --record: name its file.")
    if options.replay is not None and options.record is not None:
        raise ConfigurationError("--replay asks no model, so --record has nothing to keep: leave one of them out.")


def _chosen(tasks: Sequence[Task], options: EvalOptions) -> list[Task]:
    without = sorted(options.agents - {task.agent for task in tasks})
    if without:
        raise ConfigurationError(
            f"No task is labelled for {', '.join(without)}: correct --agent or choose other --tasks."
        )
    kept = [task for task in tasks if not options.agents or task.agent in options.agents]
    return kept[: options.limit]


def _line(trial: Trial) -> str:
    result = "passed" if trial.passed else trial.error or trial.problem or "only announced"
    asked_again = f", reprompted {trial.reprompted} ×" if trial.reprompted else ""
    calls = ", ".join(trial.calls) or "no call"
    return f"{trial.task.name}: {result} ({calls}; {trial.model_calls} model calls{asked_again}, {trial.wall_s:.1f} s)"
