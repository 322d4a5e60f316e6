"""The next step of a turn.

The scripted model keeps no state. For every reply the jobs of the turn start afresh and are fed the outcomes that the
conversation already holds; the first call without an outcome is the next reply.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Mapping
from typing import Any

from llm.script.history import Outcome, Turn
from llm.script.jobs import JOBS, LOOKING
from llm.script.phrases import Phrases
from llm.script.plans import decision_in, plan_for
from llm.script.requests import Job, read_request
from llm.script.worker import Blocked, Call, Report, Worker


def next_step(turn: Turn, tool_names: Collection[str]) -> Call | str:
    """Say the next call of the turn or, when all is done, the answer."""
    request, feedback_of_switch = _effective_request(turn)
    worker = Worker(frozenset(tool_names), Phrases.of(turn.request or request))
    outcomes = _usable(turn.outcomes, worker)
    if feedback_of_switch is not None:
        return worker.say.no_switch("coder", feedback_of_switch)
    work = _whole(worker, request)
    try:
        call = next(work)
        while (at := _find(outcomes, call)) is not None:
            outcome = outcomes[at]
            del outcomes[: at + 1]
            call = work.send(outcome)
    except StopIteration as stop:
        return str(stop.value)
    return call


def _effective_request(turn: Turn) -> tuple[str, str | None]:
    """Join the request with the user's later answers; the second value is a refusal to switch agents."""
    request = turn.request
    for tool, answer in turn.answers:
        if tool == "switch_mode":
            refused = next((o for o in turn.outcomes if o.tool == "switch_mode" and o.kind == "rejected"), None)
            if refused is not None:
                return request, answer
        elif read_request(answer):
            request = answer
        elif any(job.kind == "insert" and not job.text for job in read_request(request)):
            request = f"{request} `{answer.replace('`', '')}`"
        else:
            request = f"{request} {answer}"
    return request, None


def _usable(outcomes: Collection[Outcome], worker: Worker) -> list[Outcome]:
    """Leave out the switches that worked, and what was denied to the agents before them."""
    usable: list[Outcome] = []
    for outcome in outcomes:
        if outcome.tool != "switch_mode":
            usable.append(outcome)
        elif outcome.kind == "done":
            worker.switched_to.add(str(outcome.arguments.get("mode")))
            usable = [earlier for earlier in usable if earlier.kind != "denied"]
        else:
            usable.append(outcome)
    return usable


def _find(outcomes: list[Outcome], call: Call) -> int | None:
    wanted = _sound(call.arguments)
    return next(
        (n for n, made in enumerate(outcomes) if made.tool == call.tool and _sound(made.arguments) == wanted), None
    )


def _sound(value: Any) -> Any:
    """Compare texts as they are stored: without U+0000."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {key: _sound(item) for key, item in value.items()}
    return [_sound(item) for item in value] if isinstance(value, list) else value


def _whole(worker: Worker, request: str) -> Generator[Call, Outcome, str]:
    """Do everything that the request asks for, then finish."""
    jobs = read_request(request)
    if _asks_for_plan(request) or (worker.is_architect and _wants_plan(jobs, request)):
        try:
            return (yield from _plan(worker, request))
        except Blocked as blocked:
            return str(blocked)
    if not jobs:
        return worker.say.answer(request)
    reports: list[Report] = []
    left: list[Job] = []
    for job in jobs:
        if job.kind not in LOOKING and not all(report.is_done for report in reports):
            left.append(job)  # what changes or runs something would build on what is not there
            continue
        try:
            report = yield from JOBS[job.kind](worker, job)
        except Blocked as blocked:
            report = Report(str(blocked), is_done=False)
        reports.append(report)
    texts = [report.text for report in reports]
    if left:
        texts.append(worker.say.not_done([job.wish for job in left]))
    text = "\n\n".join(texts)
    if any(report.is_effect for report in reports) and "attempt_completion" in worker.tools:
        yield Call("attempt_completion", {"result": text})
    return text


def _asks_for_plan(request: str) -> bool:
    orders = r"\s*(?:please\s+|пожалуйста,?\s+)?(?:plan|make a plan|create a plan|спланируй|составь план|сделай план)\b"
    return re.match(orders, request, re.IGNORECASE) is not None


def _wants_plan(jobs: list[Job], request: str) -> bool:
    if not jobs:
        return len(request.split()) >= 4 and not Phrases.is_question(request)
    makes_code = ("create", "replace", "insert", "remove", "mkdir", "run", "improve")
    return any(job.kind in makes_code and not job.path.lower().endswith(".md") for job in jobs)


def _plan(worker: Worker, request: str) -> Generator[Call, Outcome, str]:
    feedback = ""
    while True:
        arguments = plan_for(request, is_russian=worker.say.is_russian, feedback=feedback)
        outcome = yield from worker.use("create_plan", **arguments)
        status, said = decision_in(outcome.value)
        if "modif" not in status or not said or said in feedback:
            return worker.say.plan_ended(status, outcome.reason)
        feedback = f"{feedback}\n{said}".strip()
