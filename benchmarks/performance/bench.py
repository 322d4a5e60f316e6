"""Both servers on one PostgreSQL, asked the same in turn; the figures of each load."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.performance.loads import Client, Taken
from benchmarks.performance.processes import Meter, Server, floor, ours
from benchmarks.performance.sizes import Size
from tests.databases import PostgresServer

Figures = dict[str, Any]
_SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
STEPS = 10
"""Into how many parts a growing session and a long run are divided."""


class Bench:
    """Both servers on one PostgreSQL, with one kind of model."""

    def __init__(
        self, postgres: PostgresServer, meter: Meter, model_url: str | None, size: Size, stack: ExitStack
    ) -> None:
        self._meter, self._size = meter, size
        self._place = "through the stub" if model_url else "in process"
        self.servers: dict[str, Server] = {}
        for name, start in (("floor", floor), ("ours", ours)):
            url = stack.enter_context(postgres.database(empty=True))
            self.servers[name] = start(url, model_url)
            stack.callback(self.servers[name].stop)

    async def turns(self) -> dict[str, Figures]:
        """CPU, turns per second and latencies of chat and tool turns, at several numbers of clients."""
        size, found = self._size, dict[str, Figures]()
        limit_s = size.limit_s(f"turns {self._place}", 2 * len(size.clients))
        for kind in ("chat", "tool"):
            for clients in size.clients:

                async def play(client: Client, kind: str = kind, clients: int = clients) -> Taken:
                    return await client.many(getattr(client, kind), clients, max(size.turns, 2 * clients))

                found[f"{kind} turns, {clients} clients"] = await self._compared(play, limit_s)
        return found

    async def live(self, streams: tuple[int, ...]) -> dict[str, Figures]:
        """Live answers at once, and arriving over five seconds."""
        found: dict[str, Figures] = {}
        limit_s = self._size.limit_s(f"live {self._place}", 2 * len(streams))
        for count in streams:
            for over_s in (0.0, 5.0):

                async def play(client: Client, count: int = count, over_s: float = over_s) -> Taken:
                    return await client.live(count, over_s)

                name = f"{count} live answers" + (f" over {over_s:.0f} s" if over_s else "")
                found[name] = await self._compared(play, limit_s)
        return found

    async def _compared(self, play: Callable[[Client], Any], limit_s: float) -> Figures:
        taken: dict[str, list[tuple[Taken, float]]] = {name: [] for name in self.servers}
        for number in self._size.rounds_within(limit_s):
            # The order changes: what the first load of a round leaves behind is the second one's in the next.
            for name in sorted(self.servers, reverse=bool(number % 2)):
                client, before = Client(self.servers[name]), self._meter.cpu_s()
                played = await play(client)
                taken[name].append((played, self._meter.cpu_s() - before))
                await client.close()
        figures = {name: _summed(of_server) for name, of_server in taken.items()}
        pairs = list(zip(taken["ours"], taken["floor"], strict=True))
        figures["ratio"] = {
            **_ratio("cpu", [(a.cpu_s + pg_a) / (b.cpu_s + pg_b) for (a, pg_a), (b, pg_b) in pairs]),
            **_ratio("wall", [a.wall_s / b.wall_s for (a, _), (b, _) in pairs]),
        }
        return figures

    async def costs(self, turns: int) -> dict[str, Figures]:
        """Statements, commits and WAL of a chat turn, a tool turn and a live answer, the idle ones taken off."""
        found: dict[str, Figures] = {"chat turn": {}, "tool turn": {}, "live answer": {}}
        self._meter.log_statements(on=True)
        for kind, figures in found.items():
            count, method = 2 if kind == "live answer" else turns, kind.replace(" ", "_")
            for name, server in self.servers.items():
                client, taken = Client(server), Taken()
                play = getattr(client, method)
                await client.chat("costs-warm-up", taken)
                began, before = time.monotonic(), self._meter.read()
                for number in range(count):
                    await play(f"costs-{method}-{number // 10}", taken)
                spent, busy_s = self._meter.read() - before, time.monotonic() - began
                idle_before = self._meter.read()
                await asyncio.sleep(busy_s)
                spent -= self._meter.read() - idle_before
                await client.close()
                figures[name] = {
                    "statements": round(spent.statements / count, 1),
                    "commits": round(spent.commits / count, 1),
                    "wal_bytes": round(spent.wal_bytes / count),
                }
        self._meter.log_statements(on=False)
        return found

    async def growth(self) -> dict[str, list[Figures]]:
        """One session that grows: the milliseconds of a turn and the CPU of one, in each tenth."""
        found: dict[str, list[Figures]] = {}
        each = max(1, self._size.growth // STEPS)
        limit_s = self._size.limit_s("growth", len(self.servers))
        for name, server in self.servers.items():
            client, began, steps = Client(server), time.monotonic(), list[Figures]()
            for step in range(STEPS):
                taken, cpu_s = Taken(), server.cpu_s + self._meter.cpu_s()
                for _ in range(each):
                    await client.chat("growth", taken)
                spent_ms = 1000 * (server.cpu_s + self._meter.cpu_s() - cpu_s) / each
                p50_ms = round(1000 * statistics.median(taken.turns_s), 1)
                steps.append({"turn": (step + 1) * each, "p50_ms": p50_ms, "cpu_ms": round(spent_ms, 1)})
                if time.monotonic() - began > limit_s:
                    break
            await client.close()
            found[name] = steps
        return found

    async def long_run(self) -> list[Figures]:
        """Memory of this server, and the CPU of a turn, while many turns of 16 clients pass."""
        server, client, began = self.servers["ours"], Client(self.servers["ours"]), time.monotonic()
        steps: list[Figures] = [{"turns": 0, "mib": round(server.rss_mib, 1)}]
        part = max(16, self._size.long_run // (4 * STEPS))
        while steps[-1]["turns"] < self._size.long_run:
            taken = await client.many(client.chat, 16, part)
            turns, cpu_ms = steps[-1]["turns"] + part, 1000 * taken.cpu_s / part
            steps.append({"turns": turns, "mib": round(server.rss_mib, 1), "cpu_ms": round(cpu_ms, 1)})
            if time.monotonic() - began > self._size.limit_s("long run"):
                break
        await client.close()
        return steps


def _ratio(name: str, values: list[float]) -> Figures:
    return {name: round(statistics.median(values), 2), f"{name}_range": [round(f(values), 2) for f in (min, max)]}


def _quantiles(values: list[float]) -> Figures:
    ordered = sorted(values) or [0.0]
    at = {name: ordered[min(len(ordered) - 1, round(share * len(ordered)))] for name, share in _SHARES.items()}
    return {name: round(1000 * value, 1) for name, value in at.items()}


def _summed(of_server: list[tuple[Taken, float]]) -> Figures:
    turns = max([1, *(len(taken.turns_s) for taken, _ in of_server)])
    wall_s = statistics.median(taken.wall_s for taken, _ in of_server)
    errors = [error for taken, _ in of_server for error in taken.errors]
    return {
        "turns": turns,
        "errors": len(errors),
        **({"first_errors": errors[:3]} if errors else {}),
        "wall_s": round(wall_s, 2),
        "walls_s": [round(taken.wall_s, 2) for taken, _ in of_server],
        "turns_per_s": round(turns / wall_s, 1),
        "server_cpu_ms": round(1000 * statistics.median(taken.cpu_s for taken, _ in of_server) / turns, 2),
        "server_cpus_ms": [round(1000 * taken.cpu_s / turns, 2) for taken, _ in of_server],
        "postgresql_cpu_ms": round(1000 * statistics.median(pg for _, pg in of_server) / turns, 2),
        "turn": _quantiles([value for taken, _ in of_server for value in taken.turns_s]),
        "first_token": _quantiles([value for taken, _ in of_server for value in taken.first_token_s]),
    }


async def several_processes(postgres: PostgresServer, meter: Meter, size: Size) -> dict[str, Figures]:
    """Several processes of this server on one database, the clients divided among them."""
    found: dict[str, Figures] = {}
    for count in size.processes:
        with ExitStack() as stack:
            url = stack.enter_context(postgres.database(empty=True))
            servers = [ours(url, None) for _ in range(count)]
            for server in servers:
                stack.callback(server.stop)
            clients, before = [Client(server) for server in servers], meter.cpu_s()
            began = time.monotonic()
            taken = await asyncio.gather(*(c.many(c.chat, 32 // count, 2 * size.turns // count) for c in clients))
            wall_s, cpu_s = time.monotonic() - began, sum(of.cpu_s for of in taken) + meter.cpu_s() - before
            turns = max(1, sum(len(of.turns_s) for of in taken))
            found[f"{count}"] = {"turns_per_s": round(turns / wall_s, 1), "cpu_ms": round(1000 * cpu_s / turns, 1)}
            for client in clients:
                await client.close()
    return found


async def on_sqlite(size: Size) -> dict[str, Figures]:
    """This server on the embedded default: turns per second, CPU, and the bytes that it writes."""
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as folder:
        server = ours(f"sqlite:///{Path(folder, 'runtime.db')}", None)
        try:
            for kind in ("chat", "tool"):
                for clients in size.clients:
                    client, before = Client(server), server.written_bytes
                    taken = await client.many(getattr(client, kind), clients, max(size.turns, 2 * clients))
                    await client.close()
                    turns = max(1, len(taken.turns_s))
                    found[f"{kind} turns, {clients} clients"] = {
                        "errors": len(taken.errors),
                        "turns_per_s": round(turns / taken.wall_s, 1),
                        "server_cpu_ms": round(1000 * taken.cpu_s / turns, 2),
                        "written_bytes": round((server.written_bytes - before) / turns),
                        "turn": _quantiles(taken.turns_s),
                    }
        finally:
            server.stop()
    return found
