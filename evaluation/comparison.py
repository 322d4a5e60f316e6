"""Two reports side by side: what changed, task by task, and whether that can be chance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import ConfigurationError
from evaluation.statistics import paired_p

_FIGURES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "passed": lambda row: row["passed"],
    "finished": lambda row: row["finished"],
    "needed tools called": lambda row: row["called"],
    "files undamaged": lambda row: not row["damaged"],
}


@dataclass(frozen=True)
class Difference:
    """One figure of two runs, over the cases that both have."""

    name: str
    cases: int
    before: float
    after: float
    gained: list[str]
    """The cases that are right more often now."""
    lost: list[str]
    p: float
    """How likely such a difference is when nothing has changed."""


def read_report(path: Path) -> dict[str, Any]:
    """Read a report.json, or the one of a folder; raises ConfigurationError for anything else."""
    file = path / "report.json" if path.is_dir() else path
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} is no report of an evaluation: {error}.") from error
    if not isinstance(report, dict) or not {"model", "source", "labels"} <= report.keys():
        raise ConfigurationError(f"{file} is no report of an evaluation.")
    return report


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Compare case by case; raises ConfigurationError where the reports share no case."""
    found: list[Difference] = []
    for name, is_right in _FIGURES.items():
        rows = [_by_case(report.get("tasks"), "task", is_right) for report in (before, after)]
        found += _difference(name, rows[0], rows[1])
    routed = [
        _by_case(report.get("routing"), "text", lambda row: row["got"] == row["expect"]) for report in (before, after)
    ]
    found += _difference("routed to the right agent", routed[0], routed[1])
    if not found:
        raise ConfigurationError("These reports have no task and no request in common: run both on the same labels.")
    return found


def markdown(before: Mapping[str, Any], after: Mapping[str, Any], differences: list[Difference]) -> str:
    """Return the comparison as Markdown."""
    lines = [
        f"Before: {before['model']} ({before['source']}). After: {after['model']} ({after['source']}).",
        "",
        "| figure | cases | before | after | p | gained | lost |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in differences:
        verdict = f"**{one.p:.3f}**" if one.p < 0.05 else f"{one.p:.3f}"
        changed = " | ".join(_listed(cases) for cases in (one.gained, one.lost))
        lines.append(f"| {one.name} | {one.cases} | {one.before:.1%} | {one.after:.1%} | {verdict} | {changed} |")
    lines += ["", "p: how likely a difference this large is when nothing has changed (paired, exact); bold below 0.05."]
    return "\n".join(lines) + "\n"


def _by_case(part: Any, key: str, is_right: Callable[[Mapping[str, Any]], bool]) -> dict[str, list[bool]]:
    cases: dict[str, list[bool]] = {}
    for row in (part or {}).get("rows", []):
        cases.setdefault(str(row[key]), []).append(is_right(row))
    return cases


def _difference(name: str, before: dict[str, list[bool]], after: dict[str, list[bool]]) -> list[Difference]:
    shared = [case for case in before if case in after]
    if not shared:
        return []
    # Over one denominator, so that runs with different repeats can be added exactly.
    change = {c: sum(after[c]) * len(before[c]) - sum(before[c]) * len(after[c]) for c in shared}
    rates = [sum(sum(part[c]) / len(part[c]) for c in shared) / len(shared) for part in (before, after)]
    gained, lost = [c for c in shared if change[c] > 0], [c for c in shared if change[c] < 0]
    return [Difference(name, len(shared), rates[0], rates[1], gained, lost, paired_p(list(change.values())))]


def _listed(cases: list[str], longest: int = 5) -> str:
    shown = ", ".join(case.replace("|", "\\|").replace("\n", " ")[:40] for case in cases[:longest])
    return (shown + (f" and {len(cases) - longest} more" if len(cases) > longest else "")) or "–"
