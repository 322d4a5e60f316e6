"""The results of an evaluation as one plain object, written as JSON and as Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.output import open_unlinked
from evaluation.routing import Routed, confusion
from evaluation.trial import Trial

Report = dict[str, Any]


def routing_figures(routed: Sequence[Routed]) -> Report:
    """Accuracy per language, harm, the methods used, and the confusion matrix."""
    languages = sorted({r.request.lang for r in routed})
    at_risk = [r for r in routed if r.request.expect in ("ask", "architect")]
    return {
        "requests": len(routed),
        "accuracy": _share(sum(r.right for r in routed), len(routed)),
        "accuracy_by_language": {
            lang: _share(*_count([r.right for r in routed if r.request.lang == lang])) for lang in languages
        },
        "harm": _share(sum(r.harmful for r in at_risk), len(at_risk)),
        "methods": {m: sum(r.method == m for r in routed) for m in sorted({r.method for r in routed})},
        "confusion": confusion(routed),
    }


def task_figures(trials: Sequence[Trial]) -> Report:
    """Rates over tasks, sums over model calls, and one row per task."""
    needing = [t for t in trials if t.task.tools]
    calls = sum(len(t.calls) for t in trials)
    return {
        "tasks": len(trials),
        "tool_call_rate": _share(sum(t.called for t in needing), len(needing)),
        "wrong_tool_rate": _share(sum(t.wrong_calls for t in trials), calls),
        "denied_calls": sum(t.denied for t in trials),
        "finishing_rate": _share(sum(t.finished for t in trials), len(trials)),
        "pass_rate": _share(sum(t.passed for t in trials), len(trials)),
        "reprompted": sum(t.reprompted for t in trials),
        "implicit": sum(t.implicit for t in trials),
        "model_calls": sum(t.model_calls for t in trials),
        "prompt_tokens": sum(t.prompt_tokens for t in trials),
        "completion_tokens": sum(t.completion_tokens for t in trials),
        "latency_s": round(statistics.median(t.wall_s for t in trials), 3) if trials else None,
        "agents": {name: _agent([t for t in trials if t.task.agent == name]) for name in _agents(trials)},
        "rows": [_row(t) for t in trials],
    }


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write report.json and report.md into a folder; raises ConfigurationError for a link on the path."""
    data, text = report_files(folder)
    for path, content in ((data, json.dumps(report, ensure_ascii=False, indent=1) + "\n"), (text, markdown(report))):
        with open_unlinked(path, "w") as file:
            file.write(content)
    return data, text


def report_files(folder: Path) -> tuple[Path, Path]:
    """Return the report's two files, by name: JSON and Markdown."""
    return folder / "report.json", folder / "report.md"


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
        f"{found['requests']} requests, accuracy {_percent(found['accuracy'])} ({by_language}), "
        f"harm {_percent(found['harm'])}. Methods: {methods}.",
        "",
        "| expected, got | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
        *(f"| {e} | " + " | ".join(str(row[got]) for got in names) + " |" for e, row in found["confusion"].items()),
        "",
    ]


def _task_lines(found: Report) -> list[str]:
    rates = ("tool_call_rate", "wrong_tool_rate", "finishing_rate", "pass_rate")
    sums = ("reprompted", "implicit", "denied_calls", "model_calls", "prompt_tokens", "completion_tokens", "latency_s")
    return [
        "## Tasks",
        "",
        "| figure | value |",
        "|---|---|",
        f"| tasks | {found['tasks']} |",
        *(f"| {name.replace('_', ' ')} | {_percent(found[name])} |" for name in rates),
        *(f"| {name.replace('_', ' ')} | {found[name]} |" for name in sums),
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
        "reprompted": trial.reprompted,
        "implicit": trial.implicit,
        "model_calls": trial.model_calls,
        "prompt_tokens": trial.prompt_tokens,
        "completion_tokens": trial.completion_tokens,
        "wall_s": round(trial.wall_s, 3),
    }


def _agents(trials: Sequence[Trial]) -> list[str]:
    return sorted({t.task.agent for t in trials})


def _count(flags: Sequence[bool]) -> tuple[int, int]:
    return sum(flags), len(flags)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} %"
