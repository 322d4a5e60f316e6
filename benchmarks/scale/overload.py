"""Live answers at the capacity of a process, and at twice that: what is shed, and the pace of what runs."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

import httpx

from benchmarks.performance.processes import KEY, Server, ours
from tests.chaos.facts import percentile
from tests.databases import PostgresServer
from tests.ide import STREAM, request_body, user_message

Figures = dict[str, Any]
MAX_RUNS = 40
PIECES = 30
PATIENCE_S = 180.0
SCRIPT = f"#script\n{json.dumps([{'repeat': 'word ', 'times': PIECES, 'delay': 0.1}])}\nSay it."


class Load:
    """The answers of one owner."""

    def __init__(self, client: httpx.AsyncClient, owner: str) -> None:
        self._client, self._owner = client, {"X-End-User": owner}
        self.took_s: list[float] = []
        self.refused = 0

    async def answer(self, session: str) -> None:
        """Ask until the turn is taken, as Retry-After says; verify the whole answer."""
        body = request_body(user_message(SCRIPT, agent_type="coder"), session)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            began = time.monotonic()
            answer = await self._client.post(STREAM, json=body, headers=self._owner)
            if answer.status_code == 200:
                assert answer.text.count("word ") >= PIECES, "a piece is missing"
                self.took_s.append(time.monotonic() - began)
                return
            assert answer.status_code == 503, answer.text
            self.refused += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        raise AssertionError(f"{session} was never taken")

    def figures(self, cpu_s: float, most: int) -> Figures:
        """What is told of it."""
        return {
            "answers": len(self.took_s),
            "refused": self.refused,
            "most": most,
            "cpu_ms": 1000 * cpu_s / len(self.took_s),
            "p50_s": percentile(self.took_s, 0.5),
            "p95_s": percentile(self.took_s, 0.95),
        }


def compare(server: PostgresServer) -> Figures:
    """Play half the capacity, which one owner may have, then twice the capacity with a second owner beside it."""
    os.environ["AGENT_RUNTIME__MAX_RUNS"] = str(MAX_RUNS)
    rows: dict[str, Figures] = {}
    with server.database() as db_url:
        process = ours(db_url, None)
        try:
            rows["heavy alone, its share at once"] = asyncio.run(_play(process, MAX_RUNS // 2, light=False))["heavy"]
            both = asyncio.run(_play(process, 2 * MAX_RUNS, light=True))
            rows["heavy, twice the capacity at once"] = both["heavy"]
            rows["light, beside it"] = both["light"]
        finally:
            process.stop()
    return {"max_runs": MAX_RUNS, "offered": 2 * MAX_RUNS, "pieces": PIECES, "rows": rows}


async def _play(process: Server, at_once: int, *, light: bool) -> dict[str, Figures]:
    limits = httpx.Limits(max_connections=500)
    given: dict[str, Any] = {"base_url": process.url, "headers": {"X-Internal-Auth": KEY}, "trust_env": False}
    async with httpx.AsyncClient(**given, timeout=60, limits=limits) as client:
        heavy, other = Load(client, "heavy"), Load(client, "light")
        seen = [0]
        watching = asyncio.create_task(_watch(client, seen))
        cpu_s = process.cpu_s
        asked = [asyncio.create_task(heavy.answer(f"h{at_once}-{n}")) for n in range(at_once)]
        while light and not all(task.done() for task in asked):
            await other.answer(f"l{len(other.took_s)}")
        await asyncio.gather(*asked)
        cpu_s = process.cpu_s - cpu_s
        watching.cancel()
    answers = len(heavy.took_s) + len(other.took_s)
    shares = {load: cpu_s * len(load.took_s) / answers for load in (heavy, other)}
    most = max(seen)
    found = {"heavy": heavy.figures(shares[heavy], most)}
    return found | ({"light": other.figures(shares[other], most)} if light else {})


async def _watch(client: httpx.AsyncClient, seen: list[int]) -> None:
    """Note how many runs the process drives, until cancelled."""
    while True:
        text = (await client.get("/metrics")).text
        line = next(line for line in text.splitlines() if line.startswith("agent_runtime_active_runs "))
        seen.append(int(float(line.split()[1])))
        await asyncio.sleep(0.2)
