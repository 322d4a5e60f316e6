"""The full counts of the fault experiments: `uv run python -m benchmarks.soak` writes docs/soak-report.md."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.cancelling import cancel_often
from tests.chaos.disconnects import disconnect_at_random
from tests.chaos.facts import Report
from tests.chaos.hammer import hammer
from tests.chaos.kills import kill_at_random
from tests.chaos.mixed import mix
from tests.chaos.model_trouble import TROUBLES, suffer
from tests.chaos.outage import Postgres, own_postgres, stop_under_streams
from tests.chaos.poison import poison_tables
from tests.chaos.races import race
from tests.chaos.readers import dead_beside_reading
from tests.chaos.rolling import restart_in_turn
from tests.openai_stub import OpenAIStub

REPORT = Path(__file__).parent.parent / "docs" / "soak-report.md"
HEAD = """# Soak report

What was done to real server processes on a real PostgreSQL, several processes on one host, and the results, written by
`uv run python -m benchmarks.soak`; each section says with which options. What is lost, doubled or stuck is found by
comparing what clients saw with the tables, and a promise that was not kept is listed.
Read with [durability.md](durability.md).
"""
TAKE_OVER_S = 2.0
Experiment = Callable[[Postgres, float, int], Coroutine[Any, Any, Report]]


def _count(full: int, share: float) -> int:
    return max(1, round(full * share))


async def _kills(postgres: Postgres, share: float, seed: int) -> Report:
    with postgres.server.database() as url:
        return _in_time(await kill_at_random(url, _count(200, share), seed))


async def _disconnects(postgres: Postgres, share: float, seed: int) -> Report:
    with postgres.server.database() as url:
        return await disconnect_at_random(url, _count(1000, share), seed)


async def _races(postgres: Postgres, share: float, seed: int) -> Report:
    with postgres.server.database() as url:
        return await race(url, _count(10_000, share), seed)


async def _hammer(postgres: Postgres, share: float, seed: int) -> Report:
    with postgres.server.database() as url:
        return await hammer(url, _count(20, share), seed)


async def _outage(postgres: Postgres, share: float, seed: int) -> Report:
    return await stop_under_streams(postgres, _count(50, share), away_s=10.0, seed=seed)


async def _rolling(postgres: Postgres, share: float, seed: int) -> Report:
    with postgres.server.database() as url:
        return await restart_in_turn(url, _count(20, share), seed)


async def _poisoned(postgres: Postgres, share: float, seed: int) -> Report:
    with postgres.server.database() as url:
        return await poison_tables(url, seed, at_once=share < 1)


async def _model(trouble: str, postgres: Postgres, share: float, seed: int) -> Report:  # noqa: ARG001 the signature
    with postgres.server.database() as url, OpenAIStub() as stub:
        return await suffer(url, stub, trouble, 60.0 * share)


async def _mixed(postgres: Postgres, share: float, seed: int) -> Report:
    return _in_time(await mix(postgres, _count(500, share), seed))


def _in_time(report: Report) -> Report:
    """Add to what was not kept that runs of dead workers were taken over too late."""
    if (took_s := report.figures["take-over p95 s"]) > TAKE_OVER_S:
        report.violations.append(f"the take-over from a dead worker takes {took_s} s (p95)")
    return report


async def _readers(postgres: Postgres, share: float, seed: int) -> Report:
    with postgres.server.database() as url:
        return await dead_beside_reading(url, readers=_count(300, share), rounds=3, seed=seed)


async def _cancels(postgres: Postgres, share: float, seed: int) -> Report:
    with postgres.server.database() as url:
        return await cancel_often(url, _count(50, share), seed)


EXPERIMENTS: dict[str, Experiment] = {
    "mixed": _mixed,
    "kills": _kills,
    "disconnects": _disconnects,
    "races": _races,
    "hammer": _hammer,
    "outage": _outage,
    "rolling": _rolling,
    "poisoned": _poisoned,
    **{f"model-{trouble}": partial(_model, trouble) for trouble in TROUBLES},
    "readers": _readers,
    "cancels": _cancels,
}


def main() -> None:
    """Run the experiments one after another; exits with 1 when a promise was not kept, and the report says which."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="share of the full counts")
    parser.add_argument("--only", nargs="*", choices=sorted(EXPERIMENTS), default=list(EXPERIMENTS))
    parser.add_argument("--report", type=Path, default=REPORT)
    chosen = parser.parse_args()
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    broken: list[str] = []
    with own_postgres() as postgres:
        for name in chosen.only:
            began = time.monotonic()
            report = asyncio.run(EXPERIMENTS[name](postgres, chosen.share, chosen.seed))
            report.show()
            broken += report.violations
            given = f"--seed {chosen.seed} --share {chosen.share:g} --only {name}"
            _write(chosen.report, report, given, time.monotonic() - began)
    sys.exit(1 if broken else 0)


def _write(page: Path, report: Report, given: str, took_s: float) -> None:
    """Put the section of an experiment into the page, in the place of the one before; the others stay as they are."""
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    sections = {text.split("\n", 1)[0]: text.split("\n", 1)[1] for text in before.split("\n## ")[1:]}
    sections[report.name] = _section(report, given, took_s)
    told = [f"## {name}\n\n{text.strip()}\n" for name, text in sections.items()]
    page.write_text("\n".join([HEAD, *told]), encoding="utf-8")


def _section(report: Report, given: str, took_s: float) -> str:
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    figures = {
        **report.figures,
        "took s": round(took_s),
        "run": f"{datetime.now(UTC):%Y-%m-%d}, `{given}`",
        "machine": f"{os.cpu_count()} cores, load average at the end {load}",
        "software": f"{platform.system()} {platform.machine()}, Python {platform.python_version()},"
        f" psycopg {psycopg.__version__}, PostgreSQL from the wheel",
    }
    rows = "\n".join(f"| {key} | {value} |" for key, value in figures.items())
    broken = "".join(f"\n- not kept: {told}" for told in report.violations)
    return f"| figure | value |\n|---|---|\n{rows}\n{broken}"


if __name__ == "__main__":
    main()
