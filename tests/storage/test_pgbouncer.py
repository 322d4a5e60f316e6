"""The server behind a real PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from errors import ConfigurationError
from storage.schema import migrate
from tests.databases import PostgresServer
from tests.runs.opened import opened
from tests.runs.test_cancel import SLOW, streaming

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")
CALL = {"tool": "write_file", "args": {"path": "a", "content": ""}, "id": "w1"}


@contextmanager
def pooler(url: str) -> Iterator[str]:
    """PgBouncer in transaction mode with fewer servers than clients: the URL of the database through it."""
    with tempfile.TemporaryDirectory(prefix="pgbouncer") as folder:
        yield from _run(url, Path(folder))


def _run(url: str, folder: Path) -> Iterator[str]:
    parts = conninfo_to_dict(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = f"user={parts['user']}" + (f" password={parts['password']}" if parts.get("password") else "")
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": 4,
        "logfile": folder / "log",
    }
    lines = [f"{name} = {value}" for name, value in settings.items()]
    target = f"host={parts['host']} port={parts.get('port', 5432)} {user}"
    configuration = folder / "pgbouncer.ini"
    configuration.write_text("\n".join(["[databases]", f"* = {target}", "[pgbouncer]", *lines, ""]))
    command = [str(PROGRAM), "-q", str(configuration)]
    if os.geteuid() == 0:  # it refuses to run as root
        folder.chmod(0o777)
        socket_folder = Path(str(parts["host"]))
        command[1:1] = ["-u", socket_folder.owner() if socket_folder.is_dir() else "nobody"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    through = f"postgresql://{parts['user']}@127.0.0.1:{port}/{parts['dbname']}"
    try:
        deadline = time.monotonic() + 20
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                psycopg.connect(through, connect_timeout=2).close()
                break
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise AssertionError((folder / "log").read_text()) from error
                time.sleep(0.05)
        yield through
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_a_pooler_in_transaction_mode_alone_is_refused(postgres: PostgresServer, tmp_path: Path) -> None:
    with postgres.database() as url, pooler(url) as through:
        with pytest.raises(ConfigurationError, match="name PostgreSQL itself in AGENT_RUNTIME__DB_LISTEN_URL"):
            asyncio.run(migrate(through))
        with pytest.raises(ConfigurationError, match="AGENT_RUNTIME__DB_LISTEN_URL leads through a pooler"):
            asyncio.run(migrate(through, through))


def test_an_address_to_listen_on_that_leads_elsewhere_is_refused(postgres: PostgresServer) -> None:
    with postgres.database() as url, postgres.database(empty=True) as other, pooler(url) as through:
        with pytest.raises(ConfigurationError, match="DB_LISTEN_URL names another database than AGENT_RUNTIME__DB_URL"):
            asyncio.run(migrate(through, other))
        with psycopg.connect(other) as connection:
            assert connection.execute("select to_regclass('agent_runtime.sessions')").fetchone() == (None,)
        unknown = url.replace(str(conninfo_to_dict(url)["dbname"]), "unknown")
        with pytest.raises(ConfigurationError, match="check AGENT_RUNTIME__DB_LISTEN_URL"):
            asyncio.run(migrate(through, unknown))
    with postgres.database() as url, pytest.raises(ConfigurationError, match="check AGENT_RUNTIME__DB_URL"):
        asyncio.run(migrate(through, url))


async def test_turns_approvals_and_cancels_work_through_a_pooler(postgres: PostgresServer) -> None:
    with postgres.database(empty=True) as url, pooler(url) as through:
        pooled = {"db_listen_url": url}
        async with opened(through, **pooled) as (_, one), opened(through, **pooled) as (_, other):
            turns = [one.play([{"text": f"Answer {n}."}], f"s{n}") for n in range(12)]
            told = await asyncio.gather(*turns)
            assert [chunks[-1]["metadata"]["outcome"] for _, chunks in told] == ["completed"] * 12
            await one.play([CALL, {"text": "Written."}])
            await other.post({"type": "hitl_decision", "call_id": "w1", "decision": "approve"})
            _, chunks = await other.post({"type": "tool_result", "call_id": "w1", "result": "ok"})
            assert chunks[-1]["metadata"]["outcome"] == "completed"
            asking = await streaming(one, SLOW)
            assert (await other.http.post("/sessions/s/cancel")).json()["cancelled"] is True
            assert (await asking)[1][-1]["metadata"]["outcome"] == "cancelled"
            assert (await one.http.delete("/sessions/s?hard=true")).status_code == 200
            assert (await one.http.get("/ready")).status_code == 200
        with psycopg.connect(url) as connection:
            schemas = connection.execute("select distinct schemaname from pg_tables where tablename = 'sessions'")
            assert schemas.fetchall() == [("agent_runtime",)]
