"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.performance.charts import draw
from benchmarks.performance.goals import goals

COMMAND = "uv run python -m benchmarks.performance"
FINDINGS = Path(__file__).with_name("findings.md")
"""What the figures mean and why they are so, in words."""


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    columns = [str(name) for name in head]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return [*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows), ""]


def _compared(loads: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, load in loads.items():
        a, b, ratio = load["floor"], load["ours"], load["ratio"]
        low, high = ratio["cpu_range"]
        for server, figures in (("floor", a), ("ours", b)):
            turn, first = figures["turn"], figures["first_token"]
            rows.append(
                (
                    name if server == "floor" else "",
                    server,
                    figures["server_cpu_ms"],
                    figures["postgresql_cpu_ms"],
                    "" if server == "floor" else f"{ratio['cpu']} ({low}–{high})",
                    figures["turns_per_s"],
                    figures["errors"],
                    " / ".join(str(wall) for wall in figures["walls_s"]),
                    f"{turn['p50_ms']} / {turn['p95_ms']} / {turn['p99_ms']}",
                    f"{first['p50_ms']} / {first['p95_ms']} / {first['p99_ms']}",
                )
            )
    head = (
        "load",
        "server",
        "CPU ms a turn",
        "PostgreSQL CPU ms",
        "CPU ratio (range)",
        "turns/s",
        "errors",
        "wall s by round",
    )
    return _table((*head, "turn ms p50 / p95 / p99", "first token ms p50 / p95 / p99"), rows)


def write_report(found: Mapping[str, Any], out: Path) -> Path:
    """Write performance.md and its charts into a folder; returns the page."""
    machine = found["machine"]
    lines = [
        "# Performance",
        "",
        "This server beside the floor (`benchmarks/performance/floor.py`: a bare FastAPI + LangGraph + PostgreSQL app "
        "without authentication, policy, event log, history, audit or take-over), interleaved in one run on one "
        f"PostgreSQL. Written by `{COMMAND}`; `--minutes 16` ends each part early, `--quick` is a short look. Every "
        "turn is verified: the whole text, the call, the end. Ratios are medians over rounds, with their range. The "
        "figures as JSON: [performance.json](performance.json).",
        "",
        f"{machine['at']}: {machine['cpus']} CPUs, Python {machine['python']}, {machine['system']}; load average "
        f"{machine['load_at_start']} at the start, {machine['load_at_end']} at the end, {machine['took_s']} s in all. "
        "Clients, model stub and PostgreSQL run on the same machine: a load average well over 1 before the start means "
        "that others used it too, and wall times and latencies say little; CPU times less so.",
        "",
        "## Goals",
        "",
        *_table(
            ("", "floor", "this server", "goal", "reached"),
            ((*goal[:4], "yes" if goal.is_reached else "no") for goal in goals(found)),
        ),
        "![CPU per turn](images/performance.svg)",
        "",
        *FINDINGS.read_text(encoding="utf-8").splitlines(),
        "",
    ]
    for model, figures in found["models"].items():
        lines += [f"## Model {model}", "", *_compared({**figures["turns"], **figures["live"]})]
        if "costs" in figures:
            lines += _inside(figures)
    lines += _starts(found["starts"])
    lines += ["## Several processes on one PostgreSQL", "", "32 clients, divided among the processes.", ""]
    several = ((n, f["turns_per_s"], f["cpu_ms"]) for n, f in found["processes"].items())
    lines += _table(("processes", "turns/s", "CPU ms a turn"), several)
    lines += _sqlite(found)
    draw(found, out / "images")
    page = out / "performance.md"
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return page


def _inside(figures: Mapping[str, Any]) -> list[str]:
    costs = [
        (kind, name, *cost.values()) for kind, servers in figures["costs"].items() for name, cost in servers.items()
    ]
    lines = _table(("costs PostgreSQL", "server", "statements", "commits", "WAL bytes"), costs)
    grown = figures["growth"]
    steps = [step["turn"] for step in max(grown.values(), key=len)]
    lines += ["One session that grows, to the turn named: ms p50, and CPU ms with PostgreSQL's.", ""]
    rows = [(name, *(f"{step['p50_ms']}, {step['cpu_ms']}" for step in of)) for name, of in grown.items()]
    lines += _table(("", *steps), [(*row, *[""] * (len(steps) + 1 - len(row))) for row in rows])
    run = figures["long run"]
    told = [step for number, step in enumerate(run) if number % max(1, len(run) // 8) == 0 or number == len(run) - 1]
    lines += ["A long run of 16 clients: memory of this server, and CPU ms of a turn.", ""]
    rows = [("MiB", *(step["mib"] for step in told)), ("CPU ms", *(step.get("cpu_ms", "") for step in told))]
    lines += _table(("turns", *(step["turns"] for step in told)), rows)
    return [*lines, "![Growth and memory](images/growth.svg)", ""]


def _starts(starts: Mapping[str, Any]) -> list[str]:
    names = ("start_s", "start_cpu_s", "idle_mib", "modules", "import_ms")
    rows = [(name, *(figures[key] for key in names), _shown(figures)) for name, figures in starts.items()]
    head = ("server", "s to healthy", "CPU s", "MiB at rest", "modules", "ms of imports", "longest imports, ms")
    told = (
        "On an empty database, the bytecode cached; this server with a model behind an address. The floor imports an "
        "OpenAI client, where it has one, before it answers; this server does with the first request."
    )
    return ["## Start", "", told, "", *_table(head, rows)]


def _shown(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {ms}" for name, ms in figures["longest_imports_ms"].items())


def _sqlite(found: Mapping[str, Any]) -> list[str]:
    turns = found["models"]["in process"]["turns"]
    rows = [
        (
            name,
            figures["errors"],
            figures["turns_per_s"],
            turns[name]["ours"]["turns_per_s"],
            figures["server_cpu_ms"],
            found["sqlite statements"][name.split()[0]],
            figures["written_bytes"],
            " / ".join(str(ms) for ms in figures["turn"].values()),
        )
        for name, figures in found["sqlite"].items()
    ]
    head = ("load", "errors", "turns/s", "on PostgreSQL", "CPU ms a turn", "statements", "bytes written a turn")
    return ["## SQLite, the embedded default", "", *_table((*head, "turn ms p50 / p95 / p99"), rows)]
