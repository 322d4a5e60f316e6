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
        for server, figures in (("floor", a), ("ours", b)):
            turn, first = figures["turn"], figures["first_token"]
            rows.append(
                (
                    name if server == "floor" else "",
                    server,
                    figures["server_cpu_ms"],
                    figures["postgresql_cpu_ms"],
                    "" if server == "floor" else f"{ratio['cpu']}: {_joined(ratio['cpu_by_round'])}",
                    figures["turns_per_s"],
                    len(figures["errors"]),
                    _joined(figures["walls_s"]),
                    f"{turn['p50_ms']} / {turn['p95_ms']} / {turn['p99_ms']}",
                    f"{first['p50_ms']} / {first['p95_ms']} / {first['p99_ms']}",
                )
            )
    head = (
        "load",
        "server",
        "CPU ms a turn",
        "PostgreSQL CPU ms",
        "CPU ratio: by round",
        "turns/s",
        "errors",
        "wall s by round",
    )
    return _table((*head, "turn ms p50 / p95 / p99", "first token ms p50 / p95 / p99"), rows)


def write_report(found: Mapping[str, Any], out: Path) -> Path:
    """Write performance.md and its charts into a folder; returns the page."""
    draw(found, out / "images")
    page = out / "performance.md"
    page.write_text(page_of(found), encoding="utf-8")
    return page


def page_of(found: Mapping[str, Any]) -> str:
    """The figures and findings as Markdown."""
    machine = found["machine"]
    wrong, took_s = errors_of(found), found.get("took_s", {})
    lines = [
        "# Performance",
        "",
        "This server beside the floor (`benchmarks/performance/floor.py`: a bare FastAPI + LangGraph + PostgreSQL app "
        "without authentication, policy, event log, history, audit or take-over), interleaved in one run on one "
        f"PostgreSQL. Written by `{COMMAND}`; `--minutes 40` is all of it, parts that take too long end early; "
        "`--quick` is a short look. The figures as JSON: [performance.json](performance.json).",
        "",
        "## How to read",
        "",
        "Both servers play turns until their connections are warm, and some more before each round; in a round the "
        "same load is played to one and then to the other. A ratio is the median of the rounds', which stand beside "
        "it; CPU is that of the server and of PostgreSQL together. Clients, model stub and PostgreSQL run on the same "
        f"{machine['cpus']} CPUs, so wall times and latencies are theirs too. PostgreSQL writes no images of whole "
        "pages. Every turn is verified: the whole text, the call, the end.",
        "",
        f"{machine['at']}: Python {machine['python']}, {machine['system']}; load average "
        f"{machine['load_at_start']} at the start, {machine['took_s']} s in all; "
        + (f"**{len(wrong)} turns failed**: {'; '.join(wrong[:5])}." if wrong else "no turn failed."),
        "",
        *([f"Seconds: {'; '.join(f'{part} {s:.0f}' for part, s in took_s.items())}.", ""] if took_s else []),
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
    lines += _profiles(found["profiles"])
    for model, figures in found["models"].items():
        lines += [f"## Model {model}", "", *_compared({**figures["turns"], **figures["live"]})]
        if "costs" in figures:
            lines += _inside(figures)
    lines += _long_run(found["long run"])
    lines += _starts(found["starts"])
    lines += ["## Several processes on one PostgreSQL", "", "32 clients, divided among the processes.", ""]
    several = ((n, f["turns_per_s"], f["cpu_ms"]) for n, f in found["processes"].items())
    lines += _table(("processes", "turns/s", "CPU ms a turn"), several)
    lines += _sqlite(found)
    return "\n".join(lines).rstrip() + "\n"


def errors_of(found: object) -> list[str]:
    """Every error that any part of the run has noted."""
    if isinstance(found, Mapping):
        own = found.get("errors", [])
        return [*own, *(error for name, value in found.items() if name != "errors" for error in errors_of(value))]
    return [error for value in found for error in errors_of(value)] if isinstance(found, list) else []


def _joined(values: Iterable[object]) -> str:
    return " / ".join(map(str, values))


def _profiles(profiles: Mapping[str, Any]) -> list[str]:
    """CPU ms by part, those of this server's packages each on their own."""
    lines = [
        "## Where the CPU of a turn goes",
        "",
        "CPU ms of the server process by the package whose code runs, sampled with 4 clients and the model in process. "
        "C code and Python's own library count for their callers.",
        "",
    ]
    for kind, of_kind in profiles.items():
        parts = dict.fromkeys(part for server in ("ours", "floor") for part in of_kind[server]["shares"])
        rows = [
            (part, *(round(of_kind[name]["cpu_ms"] * of_kind[name]["shares"].get(part, 0), 2) for name in of_kind))
            for part in parts
        ]
        lines += _table((f"{kind} turn", *of_kind), [*rows, ("all", *(of_kind[name]["cpu_ms"] for name in of_kind))])
    return lines


def _inside(figures: Mapping[str, Any]) -> list[str]:
    names = ("statements", "commits", "wal_bytes")
    costs = [
        (kind, server, *(cost[name] for name in names))
        for kind, servers in figures["costs"].items()
        for server, cost in servers.items()
    ]
    lines = _table(("costs PostgreSQL", "server", "statements", "commits", "WAL bytes"), costs)
    grown = figures["growth"]
    steps = [step["turn"] for step in max(grown.values(), key=len)]
    lines += ["One session that grows, to the turn named: ms p50, and CPU ms with PostgreSQL's.", ""]
    rows = [(name, *(f"{step['p50_ms']}, {step['cpu_ms']}" for step in of)) for name, of in grown.items()]
    return lines + _table(("", *steps), [(*row, *[""] * (len(steps) + 1 - len(row))) for row in rows])


def _long_run(run: list[Mapping[str, Any]]) -> list[str]:
    told = [step for number, step in enumerate(run) if number % max(1, len(run) // 8) == 0 or number == len(run) - 1]
    lines = ["## A long run", "", "16 clients: memory of this server, and CPU ms of a turn without PostgreSQL's.", ""]
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
            len(figures["errors"]),
            figures["turns_per_s"],
            turns[name]["ours"]["turns_per_s"],
            figures["server_cpu_ms"],
            found["sqlite statements"][name.split()[0]],
            figures["written_bytes"],
            _joined(figures["turn"].values()),
        )
        for name, figures in found["sqlite"].items()
    ]
    head = ("load", "errors", "turns/s", "on PostgreSQL", "CPU ms a turn", "statements", "bytes written a turn")
    return ["## SQLite, the embedded default", "", *_table((*head, "turn ms p50 / p95 / p99"), rows)]
