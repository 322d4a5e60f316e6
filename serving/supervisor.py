"""Several server processes on one socket: started, started again when one ends, drained together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from multiprocessing.connection import Connection
from typing import Any

from errors import ConfigurationError
from settings import PREFIX, Settings
from storage.address import read_url

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""Between the end of a worker and its next start: twice as long after each one that ended soon."""
STEADY_S = 60.0
"""A worker that served this long has ended for a reason of its own: the pauses are short again."""
STOP_S = 20.0
"""From SIGTERM to SIGKILL: more than draining, halted tasks and open responses take together."""
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client adds up the counters of several processes."""
_log = logging.getLogger("serving.supervisor")


def supervise(settings: Settings, bound: socket.socket) -> int:
    """Run the workers until SIGTERM or SIGINT: the exit status.

    Raises ConfigurationError with the sentence of a worker when none could start.
    """
    _check(settings)
    with tempfile.TemporaryDirectory(prefix="agent-runtime-metrics-") as folder:
        os.environ[METRICS_FOLDER] = folder
        return asyncio.run(Supervisor(settings, bound, folder).run())


def _check(settings: Settings) -> None:
    """Refuse what several processes cannot share."""
    if sys.platform == "win32":
        raise ConfigurationError(f"{PREFIX}WORKERS above 1 needs Linux or macOS.")
    if read_url(settings.db_url).dialect != "postgresql":
        raise ConfigurationError(
            f"{PREFIX}WORKERS is {settings.workers} and {PREFIX}DB_URL names a SQLite file, which one process serves: "
            "use PostgreSQL, or one worker."
        )
    if not settings.principals and settings.internal_api_key_file is None:
        raise ConfigurationError(
            f"{PREFIX}WORKERS is {settings.workers} and {PREFIX}INTERNAL_API_KEY is not set: "
            "each process would make a key of its own."
        )


class Supervisor:
    """The workers of one command. Each is an ordinary server process, forked from one that has the modules loaded."""

    def __init__(self, settings: Settings, bound: socket.socket, metrics_folder: str) -> None:
        self._settings = settings
        self._bound = bound
        self._metrics_folder = metrics_folder
        self._processes: dict[int, Any] = {}
        self._stopping = asyncio.Event()
        self._has_served = False
        self._failures: dict[int, str] = {}
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(["serving.process"])

    async def run(self) -> int:
        """Keep the workers until told to stop; 0 when they ended in time, 1 when one had to be killed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        if self._settings.internal_api_key_file or self._settings.llm_api_key_file:
            loop.add_signal_handler(signal.SIGHUP, self._send, signal.SIGHUP)
        keeping = [asyncio.create_task(self._keep(number)) for number in range(1, self._settings.workers + 1)]
        await self._stopping.wait()
        _, late = await asyncio.wait(keeping, timeout=STOP_S)
        if late:
            _log.error("workers killed: they did not stop in time", extra={"action": "workers_killed"})
            self._send(signal.SIGKILL)
        for outcome in await asyncio.gather(*keeping, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        if not self._has_served and self._failures:
            raise ConfigurationError(next(iter(self._failures.values())))
        return 1 if late else 0

    def _stop(self) -> None:
        """Let every worker drain; a second signal does not wait for that."""
        self._stopping.set()
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    async def _keep(self, number: int) -> None:
        """Start a worker, and again whenever it ends, after growing pauses; before any has served, once each."""
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = loop.time()
            failure = await self._live(number)
            if self._stopping.is_set():
                return
            if not self._has_served:
                self._failures[number] = failure
                if len(self._failures) == self._settings.workers:
                    self._stopping.set()
                    return
            pause_s = FIRST_PAUSE_S if loop.time() - began > STEADY_S else pause_s
            told = {"action": "worker_ended", "worker": number, "seconds": pause_s}
            _log.error("worker starts again: %s", failure, extra=told)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _live(self, number: int) -> str:
        """Run one process to its end: why it ended."""
        heard, starting = self._forks.Pipe(duplex=False)
        process = self._forks.Process(target=_work, args=(self._settings, self._bound, number, starting))
        process.start()
        starting.close()
        self._processes[number] = process
        try:
            sentence = await self._started(heard)
            if sentence is None and process.is_alive():
                told = {"action": "worker_started", "worker": number, "pid": process.pid}
                _log.info("worker serves", extra=told)
            await _readable(process.sentinel)
        finally:
            heard.close()
            del self._processes[number]
        process.join()
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(process.pid, self._metrics_folder)  # type: ignore[no-untyped-call]
        return sentence or f"it ended with status {process.exitcode}."

    async def _started(self, heard: Connection) -> str | None:
        """Wait until a worker serves or ends; the sentence that it has left, if any."""
        await _readable(heard.fileno())
        try:
            sentence: str | None = heard.recv()
        except EOFError:
            return None
        self._has_served = self._has_served or sentence is None
        return sentence


def _work(*given: Any) -> None:
    # Imported in the worker: the supervisor itself stays small.
    from serving.process import work

    work(*given)


async def _readable(descriptor: int) -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(descriptor)
