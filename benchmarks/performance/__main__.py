"""Measure both servers in turn and write docs/performance.md, .json and the charts.

Every figure is the median over rounds; in each round the floor and this server play the same load, one after the other.
`--minutes N` ends parts early, so that everything fits into so many minutes: 40 are enough for all of it, and sizes.py
says how they are divided. `--quick` is for a short look.
The exit status is 1 when a turn failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.performance.bench import Bench, Figures, long_run, on_sqlite, profiles, several_processes
from benchmarks.performance.processes import Meter, postgresql
from benchmarks.performance.report import errors_of, write_report
from benchmarks.performance.sizes import FULL, QUICK, Size, timed
from benchmarks.performance.starts import starts
from benchmarks.performance.stub import model_server
from tests.databases import PostgresServer
from tests.road import trace_plain_answer, trace_tool_turn


async def _measure(size: Size, postgres: PostgresServer, meter: Meter, stub_url: str) -> Figures:
    took_s: dict[str, float] = {}
    began = time.monotonic()

    def tell(part: str) -> None:
        took_s[part] = round(time.monotonic() - began - sum(took_s.values()), 1)
        print(f"{datetime.now(UTC):%H:%M:%S} measured: {part}, in {took_s[part]:.0f} s", flush=True)

    found: Figures = {"took_s": took_s, "starts": starts(postgres, stub_url), "models": {}}
    tell("starts")
    for model, url in (("in process", None), ("OpenAI-compatible stub", stub_url)):
        with ExitStack() as stack:
            bench = Bench(postgres, meter, url, size, stack)
            figures: Figures = {"warm-up": await bench.warm_up(), "turns": await bench.turns()}
            tell(f"turns, model {model}")
            figures["live"] = await bench.live()
            tell(f"live answers, model {model}")
            if url is None:
                figures["costs"] = await bench.costs(min(size.turns, 40))
                tell("costs")
                figures["growth"] = await bench.growth()
                tell("growth")
            found["models"][model] = figures
    found["profiles"] = await profiles(postgres, size)
    tell("profiles")
    found["processes"] = await several_processes(postgres, meter, size)
    tell("several processes")
    found["sqlite"] = await on_sqlite(size)
    tell("SQLite")
    found["long run"] = await long_run(postgres, size)
    tell("long run")
    return found


def measure(size: Size) -> Figures:
    """Run every load; the figures by kind of model and load."""
    began, machine = time.monotonic(), _machine()
    with tempfile.TemporaryDirectory() as folder:
        road = {"chat": trace_plain_answer, "tool": trace_tool_turn}
        urls = {kind: f"sqlite:///{Path(folder, kind)}.db" for kind in road}
        statements = {kind: trace(urls[kind]).statements for kind, trace in road.items()}
    with postgresql() as (postgres, meter), model_server() as stub_url:
        found = asyncio.run(_measure(size, postgres, meter, stub_url))
    machine["took_s"] = round(time.monotonic() - began)
    return {"machine": machine, "size": {**vars(size), "ends_at": None}, "sqlite statements": statements, **found}


def _machine() -> Figures:
    load = os.getloadavg()[0]
    told = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    return {**told, "load_at_start": round(load, 1), "at": datetime.now(UTC).isoformat(timespec="minutes")}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--quick", action="store_true", help="few turns and streams, about five minutes")
    chosen.add_argument("--minutes", type=float, help="within about so many minutes, from 12 on; 40 for all of it")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of performance.md, .json and images/")
    parser.add_argument("--report", type=Path, help="write the page again from this .json; measures nothing")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL if options.minutes is None else timed(options.minutes)
    found = measure(size) if options.report is None else json.loads(options.report.read_text(encoding="utf-8"))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "performance.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written: {write_report(found, options.out)}")
    wrong = errors_of(found)
    print("\n".join(wrong) or "no turn failed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
