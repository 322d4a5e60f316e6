"""Databases of version 0.3.0, loaded from the committed fixtures (`fixtures/make_0_3_0.py` says how they were made)."""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from tests.databases import PostgresServer

FIXTURES = Path(__file__).parent / "fixtures"
_DELETED_TODAY = (
    "update sessions set deleted_at = '{now}', swept_at = case when swept_at is not null then '{now}' end "
    "where deleted_at is not null"
)
"""Sessions deleted more than thirty days ago would be removed at the start."""


def sqlite_0_3_0(path: Path) -> str:
    """Write the SQLite file of version 0.3.0 to `path`; its URL."""
    path.write_bytes(gzip.decompress((FIXTURES / "0.3.0.sqlite.gz").read_bytes()))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(_DELETED_TODAY.format(now=datetime.now(UTC).isoformat()))
    return f"sqlite:///{path}"


@contextlib.contextmanager
def postgres_0_3_0(server: PostgresServer) -> Iterator[str]:
    """Give the URL of a PostgreSQL database that holds the dump of version 0.3.0."""
    with server.database(empty=True) as url:
        load_0_3_0(url)
        yield url


def load_0_3_0(url: str) -> None:
    """Run the dump on an empty PostgreSQL database."""
    dump = gzip.decompress((FIXTURES / "0.3.0.postgresql.sql.gz").read_bytes())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(dump)
    with psycopg.connect(url, autocommit=True) as connection:
        now = datetime.now(UTC).isoformat()
        connection.execute(sql.SQL(_DELETED_TODAY).format(now=sql.SQL(now)))
