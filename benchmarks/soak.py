"""The full counts of the fault experiments: `uv run python -m benchmarks.soak` writes docs/soak-report.md."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.disconnects import disconnect_at_random
from tests.chaos.facts import Report
from tests.chaos.hammer import hammer
from tests.chaos.kills import kill_at_random
from tests.chaos.model_trouble import TROUBLES, suffer
from tests.chaos.outage import Postgres, own_postgres, stop_under_streams
from tests.chaos.poison import poison_tables
from tests.chaos.races import race
from tests.chaos.rolling import restart_in_turn
from tests.openai_stub import OpenAIStub

REPORT = Path(__file__).parent.parent / "docs" / "soak-report.md"
Experiment = Callable[[Postgres, float, int], Coroutine[Any, Any, Report]]


def _count(full: int, share: float) -> int:
    return max(1, round(full * share))


async def _kills(postgres: Postgres, share: float, seed: int) -> Report:
    with postgres.server.database() as url:
        return await kill_at_random(url, _count(200, share), seed)


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


EXPERIMENTS: dict[str, Experiment] = {
    "kills": _kills,
    "disconnects": _disconnects,
    "races": _races,
    "hammer": _hammer,
    "outage": _outage,
    "rolling": _rolling,
    "poisoned": _poisoned,
    **{f"model-{trouble}": partial(_model, trouble) for trouble in TROUBLES},
}


def main() -> None:
    """Run the experiments one after another; a failed check ends with its message."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="share of the full counts")
    parser.add_argument("--only", nargs="*", choices=sorted(EXPERIMENTS), default=list(EXPERIMENTS))
    parser.add_argument("--report", type=Path, default=REPORT)
    chosen = parser.parse_args()
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    sections: list[str] = []
    with own_postgres() as postgres:
        for name in chosen.only:
            began = time.monotonic()
            report = asyncio.run(EXPERIMENTS[name](postgres, chosen.share, chosen.seed))
            report.show()
            sections.append(_section(report, time.monotonic() - began))
            chosen.report.write_text(_page(sections, chosen), encoding="utf-8")


def _section(report: Report, took_s: float) -> str:
    rows = "\n".join(f"| {key} | {value} |" for key, value in report.figures.items())
    return f"## {report.name}\n\n| figure | value |\n|---|---|\n{rows}\n| took s | {took_s:.0f} |\n"


def _page(sections: list[str], chosen: argparse.Namespace) -> str:
    command = f"uv run python -m benchmarks.soak --seed {chosen.seed}"
    if chosen.share != 1.0:
        command += f" --share {chosen.share}"
    if chosen.only != list(EXPERIMENTS):
        command += f" --only {' '.join(chosen.only)}"
    environment = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"psycopg {psycopg.__version__}, PostgreSQL from the wheel, several server processes on one host"
    )
    head = f"""# Soak report

What was done to real server processes on a real PostgreSQL, and what came of it. Every row that counts something lost,
doubled or stuck is checked against the tables: the command fails at the first one that is not 0.
Read with [durability.md](durability.md).

- command: `{command}`
- written: {datetime.now(UTC):%Y-%m-%d}
- environment: {environment}
"""
    return "\n".join([head, *sections])


if __name__ == "__main__":
    main()
