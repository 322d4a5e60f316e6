"""`python -m benchmarks.scale` fills many sessions, overloads, sends heavy bodies: docs/scale-report.md and .json."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from benchmarks.performance.processes import postgresql
from benchmarks.scale import bodies, notify, overload, replies, tables
from benchmarks.scale.report import write_report

FILE = Path(__file__).parents[2] / "docs" / "scale-report.json"
PARTS = ("tables", "overload", "bodies", "replies", "notify")


def run_part(part: str, sessions: int, events: int) -> Any:
    with postgresql() as (server, meter):
        if part == "tables":
            return tables.compare(server, meter, sessions, events)
        if part == "overload":
            return overload.compare(server)
        if part == "notify":
            return notify.compare(server, meter)
        with server.database() as db_url:
            return asyncio.run((bodies if part == "bodies" else replies).measure(db_url))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=100, help="events of each session")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part; the others stay as they are")
    given = parser.parse_args()
    found = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    for part in given.only or PARTS:
        found[part] = run_part(part, given.sessions, given.events)
        FILE.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    write_report(found)


if __name__ == "__main__":
    main()
