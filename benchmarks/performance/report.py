"""The figures as Markdown with a chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

COMMAND = "uv run python -m benchmarks.performance"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    columns = list(head)
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
                    " / ".join(str(wall) for wall in figures["walls_s"]),
                    f"{turn['p50_ms']} / {turn['p95_ms']} / {turn['p99_ms']}",
                    f"{first['p50_ms']} / {first['p95_ms']} / {first['p99_ms']}",
                )
            )
    head = ("load", "server", "CPU ms a turn", "PostgreSQL CPU ms", "CPU ratio (range)", "turns/s", "wall s by round")
    return _table((*head, "turn ms p50 / p95 / p99", "first token ms p50 / p95 / p99"), rows)


def write_report(found: Mapping[str, Any], out: Path) -> Path:
    """Write performance.md and its chart into a folder; returns the page."""
    machine = found["machine"]
    lines = [
        "# Performance",
        "",
        "This server beside the floor (`benchmarks/performance/floor.py`: a bare FastAPI + LangGraph + PostgreSQL app "
        "without authentication, policy, event log, history, audit or take-over), interleaved in one run on one "
        f"PostgreSQL. Written by `{COMMAND}`; `--quick` takes a few minutes. Every turn is verified: the whole text, "
        "the call, the end. Ratios are medians over rounds, with their range. The figures as JSON: "
        "[performance.json](performance.json).",
        "",
        f"{machine['at']}: {machine['cpus']} CPUs, Python {machine['python']}, {machine['system']}; load average "
        f"{machine['load_at_start']} at the start, {machine['load_at_end']} at the end. The clients and the model stub "
        "run on the same machine: a load average well over 1 before the start means that others used it too, and wall "
        "times and latencies say little; CPU times less so.",
        "",
        "![CPU per turn](images/performance.svg)",
        "",
    ]
    for model, figures in found["models"].items():
        lines += [f"## Model {model}", ""]
        lines += _compared({**figures["turns"], **figures["live"]})
        rows = [
            (name, f"{s['start_s']:.2f}", f"{s['start_cpu_s']:.2f}", f"{s['idle_mib']:.0f}")
            for name, s in figures["starts"].items()
        ]
        lines += _table(("server", "start to healthy s", "CPU of the start s", "idle MiB"), rows)
        if "costs" in figures:
            costs = [
                (f"{kind} turn", name, cost["statements"], cost["commits"], cost["wal_bytes"])
                for kind, servers in figures["costs"].items()
                for name, cost in servers.items()
            ]
            lines += _table(("a turn costs", "server", "statements", "commits", "WAL bytes"), costs)
            grown = [(name, g["first_ms"], g["last_ms"]) for name, g in figures["growth"].items()]
            turns = found["size"]["growth"]
            lines += _table((f"one session of {turns} turns", "first tenth ms", "last tenth ms"), grown)
            lines += _table(figures["long run"], [figures["long run"].values()])
    lines += ["## Two processes on one PostgreSQL", ""]
    lines += _table(("processes", "turns/s"), [(n, f["turns_per_s"]) for n, f in found["two processes"].items()])
    _chart(found, out / "images" / "performance.svg")
    page = out / "performance.md"
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return page


def _chart(found: Mapping[str, Any], file: Path) -> None:
    """Draw server and PostgreSQL CPU of each load, floor and ours side by side."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    models = found["models"]
    figure, all_axes = pyplot.subplots(1, len(models), figsize=(6 * len(models), 5), sharex=True, squeeze=False)
    for axes, (model, figures) in zip(all_axes[0], models.items(), strict=True):
        loads = {**figures["turns"], **figures["live"]}
        for place, load in enumerate(loads.values()):
            for offset, server, colour in ((-0.2, "floor", "#888888"), (0.2, "ours", "#2266aa")):
                own, database = load[server]["server_cpu_ms"], load[server]["postgresql_cpu_ms"]
                label = {"label": server} if place == 0 else {}
                axes.barh(place + offset, own, 0.38, color=colour, **label)
                axes.barh(place + offset, database, 0.38, left=own, color=colour, alpha=0.45)
        axes.set_yticks(range(len(loads)), list(loads))
        axes.invert_yaxis()
        axes.set_title(f"model {model}")
        axes.set_xlabel("CPU ms a turn: server, and PostgreSQL (pale)")
        axes.legend()
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
