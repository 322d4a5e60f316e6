"""How long one verdict takes: the median over ordinary calls (run: `uv run python benchmarks/policy_speed.py`)."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from policy.decide import Call, Environment, Facts, Rights, decide  # noqa: E402
from policy.rules import load_rules  # noqa: E402
from tests.policy.test_fuzz import HOSTILE_TEXTS  # noqa: E402

REPETITIONS = 20
CODER = Rights("coder", "Coder", frozenset({"read_file", "write_file", "execute_command"}), "any")
FACTS = Facts(Environment.read({"shell": "bash"}))


def _times_ms(judge: Callable[[Call], object], calls: list[Call]) -> list[float]:
    times = []
    for _ in range(REPETITIONS):
        for call in calls:
            start = time.perf_counter()
            judge(call)
            times.append((time.perf_counter() - start) * 1000)
    return times


def main() -> None:
    """Print the median, the 95th percentile and the maximum in milliseconds."""
    rules = load_rules()
    lines = (ROOT / "tests/corpora/commands_dev.jsonl").read_text(encoding="utf-8").splitlines()
    commands = [Call("execute_command", {"command": json.loads(line)["command"]}) for line in lines]
    longest = " && ".join(["grep -rn --include='*.dart' 'class .*Widget' lib/src"] * 20)
    groups = {
        "ordinary commands": commands,
        "a line of 20 commands": [Call("execute_command", {"command": longest})],
        "texts made to be slow": [Call("execute_command", {"command": text}) for text in HOSTILE_TEXTS],
        "file calls": [Call("write_file", {"path": f"lib/src/a{n}.dart", "content": "x"}) for n in range(50)],
    }
    print(f"{'verdicts':24} {'median ms':>10} {'p95 ms':>10} {'max ms':>10}")
    for name, calls in groups.items():
        times = sorted(_times_ms(lambda call: decide(call, CODER, FACTS, rules), calls))
        p95 = times[int(len(times) * 0.95)]
        print(f"{name:24} {statistics.median(times):10.3f} {p95:10.3f} {times[-1]:10.3f}")


if __name__ == "__main__":
    main()
