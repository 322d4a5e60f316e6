"""`agent-runtime serve --workers N` as a process, its log read as JSON lines."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.client.terminal.person import COMMAND
from tests.running import KEY, api_client

WAIT_S = 60.0


class Served:
    """A running command and its workers."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    def any_url(self) -> str:
        """The one address of all workers."""
        return self.url

    def lines(self, action: str | None = None) -> list[dict[str, Any]]:
        """The log so far; a line that is being written is left out."""
        whole = self._log.read_text("utf-8").rpartition("\n")[0].splitlines()
        found = [json.loads(line) for line in whole if line.startswith("{")]
        return [line for line in found if action in (None, line.get("action"))]

    def pids(self) -> dict[int, int]:
        """The newest process of each worker that has served."""
        return {line["worker"]: line["pid"] for line in self.lines("worker_started")}

    def kill(self, worker: int) -> None:
        """SIGKILL one worker, and wait until its successor serves."""
        starts = len(self.lines("worker_started"))
        os.kill(self.pids()[worker], signal.SIGKILL)
        self.until(lambda: len(self.lines("worker_started")) > starts, f"worker {worker} was not started again")

    def until(self, is_true: Callable[[], bool], problem: str) -> None:
        """Wait for a fact."""
        deadline = time.monotonic() + WAIT_S
        while not is_true():
            assert time.monotonic() < deadline, f"{problem}: {self._log.read_text('utf-8')[-3000:]}"
            time.sleep(0.02)

    def client(self, **headers: str) -> httpx.Client:
        """A client of whichever worker takes its connections."""
        return api_client(self.url, **headers)


def environment(**settings: Any) -> dict[str, str]:
    """The environment of a command with these settings and no others of ours."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_RUNTIME__")}
    return bare | {f"AGENT_RUNTIME__{name.upper()}": str(value) for name, value in settings.items()}


@contextmanager
def serving(db_url: str, folder: Path, workers: int = 2, **settings: Any) -> Iterator[Served]:
    """The command while all its workers serve; what is left of it at the end is killed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    chosen = {"db_url": db_url, "internal_api_key": KEY, "rate_limit_per_minute": 0, "log_format": "json", **settings}
    log = folder / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", str(port), "--workers", str(workers)],
            env=environment(**chosen), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder,
        )  # fmt: skip
    served = Served(process, port, log)
    try:
        served.until(lambda: len(served.pids()) == workers or process.poll() is not None, "workers did not start")
        assert process.poll() is None, log.read_text("utf-8")
        yield served
    finally:
        process.terminate()
        try:
            process.wait(WAIT_S)
        finally:
            process.kill()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
