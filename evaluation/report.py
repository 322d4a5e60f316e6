"""The results of an evaluation as one plain object, written as JSON and as Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.output import open_unlinked
from evaluation.routing import Routed, confusion
from evaluation.statistics import interval
from evaluation.trial import Trial
from llm.prices import Price, cost

Report = dict[str, Any]


def routing_figures(routed: Sequence[Routed]) -> Report:
    """Accuracy per language, harm, the methods used, and the confusion matrix."""
    languages = sorted({r.request.lang for r in routed})
    at_risk = [r for r in routed if r.request.expect in ("ask", "architect")]
    by_text = _groups([(r.request.text, r.right) for r in routed])
    return {
        "requests": len(routed),
        "unmeasured": sum(r.unmeasured for r in routed),
        "accuracy_interval": _interval(by_text),
        "accuracy": _share(sum(r.right for r in routed), len(routed)),
        "accuracy_by_language": {
            lang: _share(*_count([r.right for r in routed if r.request.lang == lang])) for lang in languages
        },
        "harm": _share(sum(r.harmful for r in at_risk), len(at_risk)),
        "methods": {m: sum(r.method == m for r in routed) for m in sorted({r.method for r in routed})},
        "confusion": confusion(routed),
        "rows": [{"text": r.request.text, "expect": r.request.expect, "got": r.agent} for r in routed],
    }


def task_figures(trials: Sequence[Trial], model: str, prices: Mapping[str, Price] | None = None) -> Report:
    """Rates over tasks with their intervals, sums over model calls, the cost, and one row per trial."""
    tokens = [sum(getattr(t, f"{kind}_tokens") for t in trials) for kind in ("prompt", "completion", "cached")]
    paid = cost(model, tokens[0], tokens[1], tokens[2], prices)
    needing = [t for t in trials if t.task.tools]
    calls = sum(len(t.calls) for t in trials)
    return {
        "tasks": len({t.task.name for t in trials}),
        "trials": len(trials),
        "unmeasured": sum(t.unmeasured for t in trials),
        "tool_call_rate": _share(sum(t.called for t in needing), len(needing)),
        "wrong_tool_rate": _share(sum(t.wrong_calls for t in trials), calls),
        "denied_calls": sum(t.denied for t in trials),
        "finishing_rate": _share(sum(t.finished for t in trials), len(trials)),
        "pass_rate": _share(sum(t.passed for t in trials), len(trials)),
        "tool_call_interval": _interval(_groups([(t.task.name, t.called) for t in needing])),
        "finishing_interval": _interval(_groups([(t.task.name, t.finished) for t in trials])),
        "pass_interval": _interval(_groups([(t.task.name, t.passed) for t in trials])),
        "damaged": sum(t.damaged for t in trials),
        "strayed": sum(t.strayed for t in trials),
        "cost_usd": None if paid is None else float(round(paid, 6)),
        "reprompted": sum(t.reprompted for t in trials),
        "implicit": sum(t.implicit for t in trials),
        "model_calls": sum(t.model_calls for t in trials),
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "cached_tokens": tokens[2],
        "latency_s": round(statistics.median(t.wall_s for t in trials), 3) if trials else None,
        "agents": {name: _agent([t for t in trials if t.task.agent == name]) for name in _agents(trials)},
        "rows": [_row(t) for t in trials],
    }


def write_report(report: Report, folder: Path) -> tuple[Path, Path, Path]:
    """Write report.json, report.md and failures.md into a folder; raises ConfigurationError for a link on the path."""
    contents = (json.dumps(report, ensure_ascii=False, indent=1) + "\n", markdown(report), failures(report))
    paths = report_files(folder)
    for path, content in zip(paths, contents, strict=True):
        with open_unlinked(path, "w") as file:
            file.write(content)
    return paths


def report_files(folder: Path) -> tuple[Path, Path, Path]:
    """Return the report's files, by name: JSON, Markdown, and the transcripts of failed trials."""
    return folder / "report.json", folder / "report.md", folder / "failures.md"


def failures(report: Report) -> str:
    """Return the transcript of every trial that did not pass."""
    failed = [row for row in (report.get("tasks") or {}).get("rows", []) if not row["passed"]]
    parts = [f"# Failures of {report['model']}", *([] if failed else ["None."])]
    parts += [f"## {row['task']}: {row['result']}\n\n{row['transcript']}" for row in failed]
    return "\n\n".join(parts) + "\n"


def markdown(report: Report) -> str:
    """Return the report as Markdown."""
    lines = [
        f"# Evaluation of {report['model']}",
        "",
        f"Source: {report['source']}. Labels: {', '.join(report['labels'])}. Reprompting: {report['reprompt']}.",
        "",
    ]
    if report.get("routing"):
        lines += _routing_lines(report["routing"])
    if report.get("tasks"):
        lines += _task_lines(report["tasks"])
    return "\n".join(lines) + "\n"


def _routing_lines(found: Report) -> list[str]:
    names = list(found["confusion"])
    by_language = ", ".join(f"{lang} {_percent(share)}" for lang, share in found["accuracy_by_language"].items())
    methods = ", ".join(f"{name} {count}" for name, count in found["methods"].items())
    return [
        "## Routing",
        "",
        f"{found['requests']} requests, accuracy {_percent(found['accuracy'])}{_between(found['accuracy_interval'])} "
        f"({by_language}), harm {_percent(found['harm'])}. Methods: {methods}.",
        *_unmeasured(found),
        "",
        "| expected, got | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
        *(f"| {e} | " + " | ".join(str(row[got]) for got in names) + " |" for e, row in found["confusion"].items()),
        "",
    ]


def _task_lines(found: Report) -> list[str]:
    rates = ("tool_call_rate", "wrong_tool_rate", "finishing_rate", "pass_rate")
    counts = ("damaged", "strayed", "reprompted", "implicit", "denied_calls", "model_calls")
    sums = (*counts, "prompt_tokens", "completion_tokens", "cached_tokens", "cost_usd", "latency_s")
    return [
        "## Tasks",
        "",
        "| figure | value |",
        "|---|---|",
        f"| tasks, trials | {found['tasks']}, {found['trials']} |",
        *(
            f"| {name.replace('_', ' ')} | {_percent(found[name])}"
            f"{_between(found.get(name.removesuffix('rate') + 'interval'))} |"
            for name in rates
        ),
        *(f"| {name.replace('_', ' ')} | {'–' if found[name] is None else found[name]} |" for name in sums),
        *_unmeasured(found),
        "",
        "| agent | tasks | tool calls | finished | passed |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {a['tasks']} | {_percent(a['tool_call_rate'])} | {_percent(a['finishing_rate'])} "
            f"| {_percent(a['pass_rate'])} |"
            for name, a in found["agents"].items()
        ),
        "",
        "| task | calls | result |",
        "|---|---|---|",
        *(f"| {r['task']} | {', '.join(r['calls']) or '–'} | {r['result']} |" for r in found["rows"]),
    ]


def _agent(trials: Sequence[Trial]) -> Report:
    needing = [t for t in trials if t.task.tools]
    return {
        "tasks": len(trials),
        "tool_call_rate": _share(sum(t.called for t in needing), len(needing)),
        "finishing_rate": _share(sum(t.finished for t in trials), len(trials)),
        "pass_rate": _share(sum(t.passed for t in trials), len(trials)),
    }


def _row(trial: Trial) -> Report:
    result = "passed" if trial.passed else trial.error or trial.problem or "text only announced work"
    return {
        "task": trial.task.name,
        "agent": trial.task.agent,
        "calls": trial.calls,
        "answer": trial.answer.strip()[:300],
        "result": result,
        "passed": trial.passed,
        "finished": trial.finished,
        "called": trial.called,
        "damaged": trial.damaged,
        "strayed": trial.strayed,
        "transcript": "" if trial.passed else trial.transcript,
        "reprompted": trial.reprompted,
        "implicit": trial.implicit,
        "model_calls": trial.model_calls,
        "prompt_tokens": trial.prompt_tokens,
        "completion_tokens": trial.completion_tokens,
        "wall_s": round(trial.wall_s, 3),
    }


def _groups(results: Sequence[tuple[str, bool]]) -> list[list[bool]]:
    """The repeats of each case together."""
    groups: dict[str, list[bool]] = {}
    for name, right in results:
        groups.setdefault(name, []).append(right)
    return list(groups.values())


def _interval(groups: Sequence[Sequence[bool]]) -> list[float] | None:
    found = interval(groups)
    return [round(end, 4) for end in found] if found else None


def _between(found: Sequence[float] | None) -> str:
    return f", 95 % interval {_percent(found[0])} to {_percent(found[1])}" if found else ""


def _unmeasured(found: Report) -> list[str]:
    count = found["unmeasured"]
    return ["", f"**{count} without a reply of the model: these figures are not the model's.**"] if count else []


def _agents(trials: Sequence[Trial]) -> list[str]:
    return sorted({t.task.agent for t in trials})


def _count(flags: Sequence[bool]) -> tuple[int, int]:
    return sum(flags), len(flags)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} %"
