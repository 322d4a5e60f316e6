"""Database URLs in every supported form, and the refusal of one that leads elsewhere than it has to.

Behind a pooler in transaction mode, such as PgBouncer, nothing that is set on a connection stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from errors import ConfigurationError
from storage.database import Dialect

LISTEN_SETTING = "AGENT_RUNTIME__DB_LISTEN_URL"
CONNECT_S = 5
"""The timeout for opening a connection at the start of the process."""
TRIES = 3
"""A pooler may give idle clients different servers by chance."""
_POSTGRES_FORMS = ("postgresql+asyncpg://", "postgresql+psycopg://", "postgresql://", "postgres://")
_SQLITE_FORMS = ("sqlite+aiosqlite:///", "sqlite:///")


@dataclass(frozen=True)
class Address:
    """A database URL, read: the dialect, and what its driver connects to (a path or a libpq URL)."""

    dialect: Dialect
    target: str


def read_url(url: str, name: str = "AGENT_RUNTIME__DB_URL") -> Address:
    """Read a database URL; raises ConfigurationError that names the setting or option it came from."""
    for form in _POSTGRES_FORMS:
        if url.startswith(form):
            return Address("postgresql", "postgresql://" + url.removeprefix(form))
    for form in _SQLITE_FORMS:
        if url.startswith(form) and len(url) > len(form):
            return Address("sqlite", unquote(url.removeprefix(form)))
    raise ConfigurationError(f"{name} is not usable: write sqlite:///path/to/file.db or postgresql://user@host/name.")


def refuse_transaction_mode(connection: Any, conninfo: str, *, is_direct: bool) -> None:
    """Raise ConfigurationError when an address that must keep its connections leads through such a pooler.

    `is_direct` says that the address is that of DB_LISTEN_URL.
    """
    import psycopg

    if _server_of(connection) == connection.info.backend_pid:
        return  # the server process that answers is the one that the connection was opened to
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_S, prepare_threshold=None) as other:
        for _ in range(TRIES):
            if _server_of(connection) == _server_of(other):
                named = LISTEN_SETTING if is_direct else "AGENT_RUNTIME__DB_URL"
                cure = "name PostgreSQL itself there." if is_direct else f"name PostgreSQL itself in {LISTEN_SETTING}."
                raise ConfigurationError(f"{named} leads through a pooler in transaction mode: {cure}")


def refuse_other_database(direct: Any, conninfo: str) -> None:
    """Raise ConfigurationError when DB_URL, the address given, leads to another database than DB_LISTEN_URL."""
    import psycopg

    try:
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_S, prepare_threshold=None) as pooled:
            is_same = _database_of(direct) == _database_of(pooled)
    except psycopg.OperationalError as error:
        raise ConfigurationError(
            "PostgreSQL does not answer through the pooler: check AGENT_RUNTIME__DB_URL and that the pooler is running."
        ) from error
    if not is_same:
        raise ConfigurationError(f"{LISTEN_SETTING} names another database than AGENT_RUNTIME__DB_URL.")


def _database_of(connection: Any) -> tuple[Any, ...]:
    query = "select oid, pg_postmaster_start_time() from pg_database where datname = current_database()"
    found: tuple[Any, ...] = connection.execute(query).fetchone()
    return found


def _server_of(connection: Any) -> int:
    return int(connection.execute("select pg_backend_pid()").fetchone()[0])
