"""Server processes whose clocks disagree: each has a shift of its own, which may change while it runs."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from tests.chaos.cluster import _FORKS, START_S, Instance
from tests.chaos.serving import serve


def serve_shifted(environment: dict[str, str], port: int, shift: Any) -> None:
    """Serve with a clock that is `shift.value` seconds ahead; the monotonic clock is nobody's to set."""
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + shift.value
    time.time_ns = lambda: nanoseconds() + round(shift.value * 1e9)
    serve(environment, port)


class ShiftedInstance(Instance):
    """One server process whose clock is ahead by `shift_s`, behind when that is negative."""

    def __init__(self, db_url: str, shift_s: float, **settings: Any) -> None:
        super().__init__(db_url, **settings)
        self._shift = _FORKS.Value("d", shift_s)

    def step(self, shift_s: float) -> None:
        """Set the clock, forwards or back."""
        self._shift.value = shift_s

    async def start(self) -> None:
        """Start it and wait until it serves."""
        self._process = _FORKS.Process(target=serve_shifted, args=(self._env, self.port, self._shift), daemon=True)
        self._process.start()
        deadline = time.monotonic() + START_S
        async with httpx.AsyncClient(trust_env=False) as client:
            while not self.is_serving:
                assert self._process.is_alive(), f"the server ended with {self._process.exitcode}"
                assert time.monotonic() < deadline, f"the server did not start in {START_S} s"
                try:
                    self.is_serving = (await client.get(f"{self.url}/health", timeout=2)).status_code == 200
                except httpx.TransportError:
                    await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it and wait for its end."""
        self.terminate()
        await self.ended()
