"""The start of both servers: CPU until healthy, memory at rest, and which packages the imports spend their time in."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.performance.processes import ROOT, floor, ours
from tests.databases import PostgresServer

Figures = dict[str, Any]
ROUNDS = 3
AT_REST_S = 3.0
"""After which nothing of the start goes on in the background."""
_IMPORTED = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \| +([\w.]+)$", re.MULTILINE)
MODULES = {"floor": "benchmarks.performance.floor", "ours": "server"}


def starts(postgres: PostgresServer, model_url: str) -> dict[str, Figures]:
    """Start both servers in turn, each on an empty database with the model at `model_url`."""
    seen: dict[str, list[tuple[float, float, float]]] = {"floor": [], "ours": []}
    for _ in range(ROUNDS):
        for name, start in (("floor", floor), ("ours", ours)):
            with postgres.database(empty=True) as url:
                server = start(url, model_url)
                time.sleep(AT_REST_S)
                seen[name].append((server.start_s, server.start_cpu_s, server.rss_mib))
                server.stop()
    found: dict[str, Figures] = {}
    for name, rounds in seen.items():
        start_s, cpu_s, mib = (statistics.median(values) for values in zip(*rounds, strict=True))
        found[name] = {"start_s": round(start_s, 2), "start_cpu_s": round(cpu_s, 2), "idle_mib": round(mib, 1)}
        found[name] |= imports(MODULES[name])
    return found


def imports(module: str) -> Figures:
    """Count what a module imports, and the packages in which that takes longest, in milliseconds."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    taken: Counter[str] = Counter()
    rows = _IMPORTED.findall(done.stderr)
    for us, name in rows:
        taken[name.partition(".")[0]] += int(us)
    longest = {name: round(us / 1000) for name, us in taken.most_common(8)}
    return {"modules": len(rows), "import_ms": round(sum(taken.values()) / 1000), "longest_imports_ms": longest}
