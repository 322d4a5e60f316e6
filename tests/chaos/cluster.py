"""Several real server processes on one database, to be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx

from tests.chaos.serving import serve
from tests.running import KEY

START_S = 120.0
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.chaos.serving"])


class Instance:
    """One server process; its address stays the same when it is started again."""

    def __init__(self, db_url: str, **settings: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.is_serving = False
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("AGENT_RUNTIME__")}
        chosen = {"db_url": db_url, "internal_api_key": KEY, "rate_limit_per_minute": 0, "log_level": "ERROR"}
        self._env |= {f"AGENT_RUNTIME__{k.upper()}": str(v) for k, v in (chosen | settings).items()}
        self._process: Any = None

    async def start(self) -> None:
        """Start it and wait until it serves."""
        self._process = _FORKS.Process(target=serve, args=(self._env, self.port), daemon=True)
        self._process.start()
        deadline = time.monotonic() + START_S
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                assert self._process.is_alive(), f"the server ended with {self._process.exitcode}"
                assert time.monotonic() < deadline, f"the server did not start in {START_S} s"
                try:
                    if (await client.get(f"{self.url}/health", timeout=2)).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.02)
        self.is_serving = True

    @property
    def pid(self) -> int:
        """The id of the process."""
        return int(self._process.pid)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP for the block: it does nothing, and its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.is_serving = False
        self._process.kill()

    def terminate(self) -> None:
        """SIGTERM: drain and stop."""
        self._process.terminate()

    async def ended(self, within_s: float = 30.0) -> int:
        """Wait for the end of the process: its exit status."""
        deadline = time.monotonic() + within_s
        while self._process.is_alive():
            assert time.monotonic() < deadline, f"the server did not end in {within_s} s"
            await asyncio.sleep(0.02)
        self.is_serving = False
        return int(self._process.exitcode)


class Cluster:
    """The instances of one test, ended with it."""

    def __init__(self, db_url: str, count: int, seed: int = 0, **settings: Any) -> None:
        self.db_url = db_url
        self.random = random.Random(seed)
        self.instances = [Instance(db_url, **settings) for _ in range(count)]
        self.in_front: str | None = None
        """The address of a proxy through which clients reach the instances."""

    async def __aenter__(self) -> Cluster:
        await asyncio.gather(*(instance.start() for instance in self.instances))
        return self

    async def __aexit__(self, *_: object) -> None:
        for instance in self.instances:
            process = instance._process
            if process is not None and process.is_alive():
                process.kill()
                process.join(timeout=10)

    def any_url(self) -> str:
        """The address of an instance that was not killed, as a balancer would choose."""
        if self.in_front is not None:
            return self.in_front
        serving = [instance for instance in self.instances if instance.is_serving] or self.instances
        return self.random.choice(serving).url
