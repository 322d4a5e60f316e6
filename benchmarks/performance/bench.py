"""Both servers on one PostgreSQL, asked the same in turn; the figures of each load."""

from __future__ import annotations

import asyncio
import itertools
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.performance.loads import Client, Taken
from benchmarks.performance.processes import Meter, Server, floor, ours, stopped
from benchmarks.performance.profile import sampled_shares
from benchmarks.performance.sizes import Size
from tests.databases import PostgresServer

Figures = dict[str, Any]
Play = Callable[[Client], Awaitable[Taken]]
KINDS = ("chat", "tool")
STARTS: dict[str, Callable[..., Server]] = {"floor": floor, "ours": ours}
_SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
STEPS = 10
"""Into how many parts a growing session and a long run are divided."""


class Bench:
    """Both servers on one PostgreSQL, with one kind of model."""

    def __init__(
        self, postgres: PostgresServer, meter: Meter, model_url: str | None, size: Size, stack: ExitStack
    ) -> None:
        self._meter, self._size, self._is_inside = meter, size, model_url is None
        self._place = "in process" if self._is_inside else "through the stub"
        self.servers: dict[str, Server] = {}
        for name, start in STARTS.items():
            url = stack.enter_context(postgres.database(empty=True))
            self.servers[name] = start(url, model_url)
            stack.callback(self.servers[name].stop)

    async def warm_up(self) -> Figures:
        """Let both servers play turns of each kind, until their connections and caches are warm."""
        taken = Taken()
        for server in self.servers.values():
            for kind in KINDS:
                taken.errors += (await _played(server, kind, max(self._size.clients), self._size.warm_up)).errors
        return {"errors": taken.errors}

    async def turns(self) -> dict[str, Figures]:
        """CPU, turns per second and latencies of chat and tool turns, at several numbers of clients."""
        size, found = self._size, dict[str, Figures]()
        numbers = size.clients if self._is_inside else size.stub_clients
        limit_s = size.limit_s(f"turns {self._place}", len(KINDS) * len(numbers))
        for kind in KINDS:
            for clients in numbers:

                async def play(client: Client, kind: str = kind, clients: int = clients) -> Taken:
                    return await client.many(kind, clients, max(size.turns, 2 * clients))

                async def warm(client: Client, kind: str = kind, clients: int = clients) -> Taken:
                    return await client.many(kind, clients, max(size.warm_up // 10, clients))

                found[f"{kind} turns, {clients} clients"] = await self._compared(play, warm, limit_s)
        return found

    async def live(self) -> dict[str, Figures]:
        """Live answers at once, and arriving within some seconds."""
        found: dict[str, Figures] = {}
        loads = self._size.live if self._is_inside else self._size.stub_live
        limit_s = self._size.limit_s(f"live {self._place}", len(loads))
        for count, over_s in loads:

            async def play(client: Client, count: int = count, over_s: float = over_s) -> Taken:
                return await client.live(count, over_s)

            async def warm(client: Client) -> Taken:
                return await client.many("chat", 16, max(16, self._size.warm_up // 10))

            name = f"{count} live answers" + (f" over {over_s:.0f} s" if over_s else "")
            # The first of them is told round by round: whether later ones are slower.
            found[name] = await self._compared(play, warm, limit_s, least=2 if found else 3)
        return found

    async def _compared(self, play: Play, warm: Play, limit_s: float, least: int = 2) -> Figures:
        taken: dict[str, list[tuple[Taken, float]]] = {name: [] for name in self.servers}
        for number in self._size.rounds_within(limit_s, least):
            # The order changes: what the first load of a round leaves behind is the second one's in the next.
            for name in sorted(self.servers, reverse=bool(number % 2)):
                client = Client(self.servers[name])
                warmed = await warm(client)
                before = self._meter.cpu_s()
                played = await play(client)
                taken[name].append((played, self._meter.cpu_s() - before))
                played.errors += warmed.errors
                await client.close()
        figures = {name: _summed(of_server) for name, of_server in taken.items()}
        pairs = list(zip(taken["ours"], taken["floor"], strict=True))
        figures["ratio"] = {
            **_ratio("cpu", [(a.cpu_s + pg_a) / (b.cpu_s + pg_b) for (a, pg_a), (b, pg_b) in pairs]),
            **_ratio("turns_per_s", [b.wall_s / a.wall_s for (a, _), (b, _) in pairs]),
        }
        return figures

    async def costs(self, turns: int) -> dict[str, Figures]:
        """Statements, commits and WAL of a chat turn, a tool turn and a live answer, the idle ones taken off."""
        found: dict[str, Figures] = {"chat turn": {}, "tool turn": {}, "live answer": {}}
        self._meter.log_statements(on=True)
        for what, figures in found.items():
            kind, count = what.split()[0], 2 if what == "live answer" else turns
            for name, server in self.servers.items():
                client, taken = Client(server), Taken()
                for _ in range(3):
                    await client.noted("chat", f"warm-up-{kind}", taken)
                began, before = time.monotonic(), self._meter.read()
                for number in range(count):
                    await client.noted(kind, f"costs-{kind}-{number // 10}", taken)
                spent, busy_s = self._meter.read() - before, time.monotonic() - began
                idle_before = self._meter.read()
                await asyncio.sleep(busy_s)
                spent -= self._meter.read() - idle_before
                await client.close()
                figures[name] = {
                    "statements": round(spent.statements / count, 1),
                    "commits": round(spent.commits / count, 1),
                    "wal_bytes": round(spent.wal_bytes / count),
                    "errors": taken.errors,
                }
        self._meter.log_statements(on=False)
        return found

    async def growth(self) -> dict[str, list[Figures]]:
        """One session that grows: the milliseconds and the CPU of a turn, in the first hundredth and each tenth."""
        found: dict[str, list[Figures]] = {}
        most = self._size.growth
        ends = sorted({max(1, most // STEPS**2), *(max(1, most * tenth // STEPS) for tenth in range(1, STEPS + 1))})
        limit_s = self._size.limit_s("growth", len(self.servers))
        for name, server in self.servers.items():
            client, began, steps = Client(server), time.monotonic(), list[Figures]()
            for first, end in itertools.pairwise((0, *ends)):
                if steps and time.monotonic() - began > limit_s:
                    break
                taken, cpu_s = Taken(), server.cpu_s + self._meter.cpu_s()
                for _ in range(first, end):
                    await client.noted("chat", "growth", taken)
                spent_ms = 1000 * (server.cpu_s + self._meter.cpu_s() - cpu_s) / (end - first)
                p50_ms = _quantiles(taken.turns_s)["p50_ms"]
                steps.append({"turn": end, "p50_ms": p50_ms, "cpu_ms": round(spent_ms, 1), "errors": taken.errors})
            await client.close()
            found[name] = steps
        return found


async def _played(server: Server, kind: str, clients: int, turns: int) -> Taken:
    client = Client(server)
    taken = await client.many(kind, clients, max(turns, clients))
    await client.close()
    return taken


def _ratio(name: str, values: list[float]) -> Figures:
    return {name: round(statistics.median(values), 2), f"{name}_by_round": [round(value, 2) for value in values]}


def _quantiles(values: list[float]) -> Figures:
    ordered = sorted(values) or [0.0]
    at = {name: ordered[min(len(ordered) - 1, round(share * len(ordered)))] for name, share in _SHARES.items()}
    return {name: round(1000 * value, 1) for name, value in at.items()}


def _summed(of_server: list[tuple[Taken, float]]) -> Figures:
    turns = max([1, *(len(taken.turns_s) for taken, _ in of_server)])
    wall_s = statistics.median(taken.wall_s for taken, _ in of_server)
    return {
        "turns": turns,
        "errors": [error for taken, _ in of_server for error in taken.errors],
        "wall_s": round(wall_s, 2),
        "walls_s": [round(taken.wall_s, 2) for taken, _ in of_server],
        "turns_per_s": round(turns / wall_s, 1),
        "server_cpu_ms": round(1000 * statistics.median(taken.cpu_s for taken, _ in of_server) / turns, 2),
        "server_cpus_ms": [round(1000 * taken.cpu_s / turns, 2) for taken, _ in of_server],
        "postgresql_cpu_ms": round(1000 * statistics.median(pg for _, pg in of_server) / turns, 2),
        "turn": _quantiles([value for taken, _ in of_server for value in taken.turns_s]),
        "first_token": _quantiles([value for taken, _ in of_server for value in taken.first_token_s]),
    }


async def long_run(postgres: PostgresServer, size: Size) -> list[Figures]:
    """Memory of this server, and the CPU of a turn, while many turns of 16 clients pass in the time that is left."""
    with postgres.database(empty=True) as url, stopped(ours(url, None)) as server:
        steps: list[Figures] = [{"turns": 0, "mib": round(server.rss_mib, 1), "errors": []}]
        part, ends_at = max(16, size.long_run // (4 * STEPS)), time.monotonic() + size.left_s
        while steps[-1]["turns"] < size.long_run and time.monotonic() < ends_at:
            taken = await _played(server, "chat", 16, part)
            turns, cpu_ms = steps[-1]["turns"] + part, 1000 * taken.cpu_s / part
            step = {"turns": turns, "mib": round(server.rss_mib, 1), "cpu_ms": round(cpu_ms, 1)}
            steps.append({**step, "errors": taken.errors})
    return steps


async def several_processes(postgres: PostgresServer, meter: Meter, size: Size) -> dict[str, Figures]:
    """Several processes of this server on one database, the clients divided among them."""
    found: dict[str, Figures] = {}
    for count in size.processes:
        with ExitStack() as stack:
            url = stack.enter_context(postgres.database(empty=True))
            servers = [stack.enter_context(stopped(ours(url, None))) for _ in range(count)]
            each = 32 // count
            warmed = await asyncio.gather(*(_played(server, "chat", each, size.warm_up) for server in servers))
            began, before = time.monotonic(), meter.cpu_s()
            taken = await asyncio.gather(*(_played(server, "chat", each, 2 * size.turns) for server in servers))
            wall_s, cpu_s = time.monotonic() - began, sum(of.cpu_s for of in taken) + meter.cpu_s() - before
            turns = max(1, sum(len(of.turns_s) for of in taken))
            errors = [error for of in (*warmed, *taken) for error in of.errors]
            figures = {"turns_per_s": round(turns / wall_s, 1), "cpu_ms": round(1000 * cpu_s / turns, 1)}
            found[f"{count}"] = {**figures, "turns": turns, "errors": errors}
    return found


async def on_sqlite(size: Size) -> dict[str, Figures]:
    """This server on the embedded default: turns per second, CPU, and the bytes that it writes."""
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as folder, stopped(ours(f"sqlite:///{folder}/runtime.db", None)) as server:
        for kind in KINDS:
            for clients in size.clients:
                warmed = await _played(server, kind, clients, size.warm_up // 10)
                before = server.written_bytes
                taken = await _played(server, kind, clients, max(size.turns, 2 * clients))
                turns = max(1, len(taken.turns_s))
                found[f"{kind} turns, {clients} clients"] = {
                    "turns": turns,
                    "errors": warmed.errors + taken.errors,
                    "turns_per_s": round(turns / taken.wall_s, 1),
                    "server_cpu_ms": round(1000 * taken.cpu_s / turns, 2),
                    "written_bytes": round((server.written_bytes - before) / turns),
                    "turn": _quantiles(taken.turns_s),
                }
    return found


async def profiles(postgres: PostgresServer, size: Size) -> dict[str, Figures]:
    """Of both servers with the model in process: how the CPU of a turn divides among its parts."""
    found: dict[str, Figures] = {kind: {} for kind in KINDS}
    for kind, of_kind in found.items():
        for name, start in STARTS.items():
            with tempfile.TemporaryDirectory() as folder, postgres.database(empty=True) as url:
                file = Path(folder, "samples.json")
                with stopped(start(url, None, ("-m", "benchmarks.performance.profile", str(file)))) as server:
                    warmed = await _played(server, kind, 4, size.warm_up)
                    server.signal(signal.SIGUSR1)
                    taken = await _played(server, kind, 4, 2 * size.turns)
                    told = sampled_shares(server, file)
                turns = max(1, len(taken.turns_s))
                figures = {"cpu_ms": round(1000 * taken.cpu_s / turns, 2), "shares": told}
                of_kind[name] = {**figures, "turns": turns, "errors": warmed.errors + taken.errors}
    return found
