"""Reads the tables of the original service, as far as they exist, on SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from errors import ConfigurationError
from json_text import storable
from storage.address import CONNECT_S, read_url
from storage.database import stamp

Row = Mapping[str, Any]
TABLES = (
    "sessions",
    "messages",
    "agent_contexts",
    "agent_switches",
    "pending_approvals",
    "plans",
    "subtasks",
)
"""The tables that are read; `fsm_states` repeats only what sessions and plans hold."""
_OPTION = "--from"
_THE_ORIGINALS = """
    select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relname = 'sessions' and c.relkind in ('r', 'p')
      and exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = 'is_active')
    order by n.nspname = 'public' desc, n.nspname limit 1
"""
"""The schema of the original's `sessions`: ours have no column `is_active`."""


@dataclass(frozen=True)
class Source:
    """The rows of each table that exists."""

    tables: Mapping[str, list[Row]]
    _groups: dict[tuple[str, str], dict[str, list[Row]]] = field(default_factory=dict)

    def rows(self, table: str) -> list[Row]:
        """The rows of a table; none when this version of the original has no such table."""
        return self.tables.get(table, [])

    def by(self, table: str, column: str) -> dict[str, list[Row]]:
        """The rows of a table by the value of one column."""
        if (table, column) not in self._groups:
            groups = self._groups[table, column] = {}
            for row in self.rows(table):
                groups.setdefault(str(row[column]), []).append(row)
        return self._groups[table, column]


def read_source(url: str) -> Source:
    """Read a database of the original; raises ConfigurationError when there is none at `url`."""
    address = read_url(url, _OPTION)
    tables = _read_file(address.target) if address.dialect == "sqlite" else _read_postgres(address.target)
    if "sessions" not in tables:
        raise ConfigurationError(f"{_OPTION} names a database without the tables of the original service.")
    return Source(tables)


def _read_file(path: str) -> dict[str, list[Row]]:
    if not Path(path).is_file():
        raise ConfigurationError(f"{_OPTION} names a file that does not exist: {path}")
    with contextlib.closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda written: written.decode("utf-8", "replace")
        names = {row["name"] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        columns = {row["name"] for row in connection.execute("pragma table_info(sessions)")}
        if "is_active" not in columns:
            return {}
        return {table: _all(connection.execute(_everything(table)).fetchall()) for table in TABLES if table in names}


def _read_postgres(conninfo: str) -> dict[str, list[Row]]:
    import psycopg
    from psycopg.rows import dict_row

    try:
        with psycopg.connect(conninfo, connect_timeout=CONNECT_S, row_factory=dict_row) as connection:
            # One snapshot of the whole database, also while the original is running.
            connection.execute("set transaction isolation level repeatable read, read only")
            schema = connection.execute(_THE_ORIGINALS).fetchone()
            if schema is None:
                return {}
            connection.execute("select set_config('search_path', quote_ident(%s), true)", (schema["nspname"],))
            listed = connection.execute("select tablename from pg_tables where schemaname = current_schema()")
            names = {row["tablename"] for row in listed}
            return {
                table: _all(connection.execute(_everything(table)).fetchall()) for table in TABLES if table in names
            }
    except psycopg.OperationalError as error:
        raise ConfigurationError(f"PostgreSQL does not answer: check {_OPTION} and that the server runs.") from error


def _everything(table: str) -> Any:
    return f"select * from {table}"  # noqa: S608 a name of TABLES


class _Row(dict[str, Any]):
    """A row of the original; a column that its version of the table lacks is empty."""

    def __missing__(self, _: str) -> None:
        return None


def _all(rows: Iterable[Any]) -> list[Row]:
    """The rows, with texts that our tables can hold."""
    return [_Row({name: _value(row[name]) for name in row.keys()}) for row in rows]  # noqa: SIM118 sqlite3.Row


def _value(value: Any) -> Any:
    return storable(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)


def time_of(value: Any) -> str | None:
    """A time of the original (naive UTC, text on SQLite) as our tables write it; None when it is not readable."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        moment = _moment(lambda: datetime.fromtimestamp(value, UTC))
    else:
        moment = _moment(lambda: datetime.fromisoformat(value)) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        return None
    return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def first_time(*values: Any) -> str:
    """The first readable of several times; the beginning of 1970 where none is."""
    return next(filter(None, map(time_of, values)), None) or stamp(datetime.fromtimestamp(0, UTC))


def _moment(read: Callable[[], datetime]) -> datetime | None:
    try:
        return read()
    except (ValueError, OverflowError, OSError):
        return None


def json_of(value: Any) -> Any:
    """A JSON column: text on SQLite and in text columns, decoded by the driver elsewhere; None when unreadable."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return storable(json.loads(value))
    except (ValueError, RecursionError):
        return None
