"""The start of the servers: CPU until healthy, memory at rest, and which packages the imports spend their time in."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.performance.processes import ENVIRONMENT, ROOT, floor, ours
from tests.databases import PostgresServer

Figures = dict[str, Any]
ROUNDS = 3
AT_REST_S = 3.0
"""After which nothing of the start goes on in the background."""
_IMPORTED = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \| +([\w.]+)$", re.MULTILINE)
FLOOR = "benchmarks.performance.floor"
IMPORTED = {"floor": FLOOR, "floor, OpenAI client": f"{FLOOR}, langchain_openai", "ours": "server"}


def starts(postgres: PostgresServer, model_url: str) -> dict[str, Figures]:
    """Start each server in turn on an empty database, with its bytecode cached; ours with the model at `model_url`.

    The floor starts with its model in process, and with an OpenAI client, which it imports before it answers.
    """
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in IMPORTED}
    for round_number in range(1 + ROUNDS):
        for name in IMPORTED:
            with postgres.database(empty=True) as url:
                server = ours(url, model_url) if name == "ours" else floor(url, None if name == "floor" else model_url)
                time.sleep(AT_REST_S)
                if round_number > 0:  # the first start writes the bytecode
                    seen[name].append((server.start_s, server.start_cpu_s, server.rss_mib))
                server.stop()
    found: dict[str, Figures] = {}
    for name, rounds in seen.items():
        start_s, cpu_s, mib = (statistics.median(values) for values in zip(*rounds, strict=True))
        found[name] = {"start_s": round(start_s, 2), "start_cpu_s": round(cpu_s, 2), "idle_mib": round(mib, 1)}
        found[name] |= imports(IMPORTED[name])
    return found


def imports(modules: str) -> Figures:
    """Count what these modules import, and the packages in which that takes longest, in milliseconds."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {modules}"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=True)
    taken: Counter[str] = Counter()
    rows = _IMPORTED.findall(done.stderr)
    for us, name in rows:
        taken[name.partition(".")[0]] += int(us)
    longest = {name: round(us / 1000) for name, us in taken.most_common(8)}
    return {"modules": len(rows), "import_ms": round(sum(taken.values()) / 1000), "longest_imports_ms": longest}
