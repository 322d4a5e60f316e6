"""The location of our tables: apart from those of the original service, some of which have the same names."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

SCHEMA = "agent_runtime"
"""The PostgreSQL schema of our tables and of LangGraph's. Version 0.3.0 had them in the default schema of the
connection: there they stay, so that processes of that version keep working during a rolling upgrade."""
LOOK_WAIT_S = 10
"""How long a look into a file waits for a process that writes it."""
_OUR_COLUMN = "agent_chosen_by"
"""A column of our `sessions` that no version of the original has."""
_SHARED_NAMES = ("sessions", "messages", "plans")
HOME = f"""
    select coalesce(
        (select '{SCHEMA}' where to_regclass('{SCHEMA}.alembic_version') is not null),
        (select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.oid = to_regclass('sessions')
           and to_regclass(quote_ident(n.nspname) || '.alembic_version') is not null
           and exists (select from pg_catalog.pg_attribute a
                       where a.attrelid = c.oid and a.attname = '{_OUR_COLUMN}' and not a.attisdropped)),
        '{SCHEMA}')
"""  # noqa: S608 constants of ours
"""The schema of our tables, seen with the search path that the connection came with."""
ENTER_HOME = f"select set_config('search_path', quote_ident(({HOME})), false)"
"""Make it the whole search path of a connection, so that no other table can be meant."""


def own_file(path: str) -> str:
    """The SQLite file of our tables: `path`, or the file beside it when the original's tables are in `path`."""
    if not Path(path).is_file() or not _is_of_the_original(path):
        return path
    named = Path(path)
    return str(named.with_name(f"{named.stem}.runtime{named.suffix}"))


def _is_of_the_original(path: str) -> bool:
    with contextlib.closing(sqlite3.connect(path, timeout=LOOK_WAIT_S)) as connection:
        names = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        columns = {row[1] for row in connection.execute("pragma table_info(sessions)")}
        if _OUR_COLUMN in columns:
            return False
        is_versioned = "alembic_version" in names and bool(
            connection.execute("select 1 from alembic_version").fetchone()
        )
    return is_versioned or not names.isdisjoint(_SHARED_NAMES)
