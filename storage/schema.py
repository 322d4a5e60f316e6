"""The schema: our tables and LangGraph's own, in one transaction; Alembic where a database has tables already."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from errors import ConfigurationError
from storage.address import CONNECT_S, LISTEN_SETTING, read_url, refuse_other_database, refuse_transaction_mode
from storage.database import ADVISORY_NAMESPACE, MIGRATION_LOCK
from storage.home import ENTER_HOME, HOME, SCHEMA, own_file
from storage.saver_tables import read_statements, saver_tables

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
"""The newest revision, from the numbers with which the files begin."""
NEW_TABLES = MIGRATIONS / "new"
"""What all revisions up to the one in a file's name do on an empty database, as SQL, for each dialect."""
LOCK_WAIT_S = 60
"""How long a start waits for another process that migrates, and for the tables that a migration changes."""
TABLE_LOCK_MS = 500
"""How long one statement of a migration waits for a table: less than PostgreSQL's deadlock_timeout, so that a deadlock
never costs a request, and requests do not queue up behind the migration."""
_IN_POSTGRES = "to_regclass('{}') is not null"
_IN_SQLITE = "count(*) from sqlite_master where name = '{}'"
_log = logging.getLogger("storage.schema")
Found = TypeVar("Found")


async def migrate(url: str, listen_url: str | None = None) -> bool:
    """Migrate the database to the schema of this version in one transaction; returns whether anything was to do.

    Several processes may start at once: one migrates, the others wait for it. A database that a newer version has
    migrated stays as it is: this version runs on it. `listen_url` names the database without the pooler of `url`.
    """
    address = read_url(url)
    if address.dialect == "sqlite":
        return await asyncio.to_thread(_migrate_sqlite, address.target)
    if listen_url is None:
        return await asyncio.to_thread(_migrate_postgres, address.target)
    return await asyncio.to_thread(_migrate_postgres, read_url(listen_url, LISTEN_SETTING).target, address.target)


def _migrate_postgres(conninfo: str, pooled_conninfo: str | None = None) -> bool:
    import psycopg

    named = LISTEN_SETTING if pooled_conninfo is not None else "AGENT_RUNTIME__DB_URL"
    try:
        with psycopg.connect(
            conninfo, autocommit=True, connect_timeout=CONNECT_S, prepare_threshold=None
        ) as connection:
            refuse_transaction_mode(connection, conninfo, is_direct=pooled_conninfo is not None)
            if pooled_conninfo is not None:
                refuse_other_database(connection, pooled_conninfo)
            connection.execute(ENTER_HOME)
            if _is_current_postgres(lambda sql: connection.execute(sql).fetchone()):
                return False
        return past_locks(
            lambda: _bring_up("postgresql", lambda: psycopg.connect(conninfo, connect_timeout=CONNECT_S), enter_schema)
        )
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"The role of {named} may not create the schema {SCHEMA} or its tables: run "
            f'"create schema {SCHEMA} authorization <role>" once as the owner of the database.'
        ) from error
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise ConfigurationError(
            f"Others have held the tables of the database, or migrated it, for more than {LOCK_WAIT_S} s: "
            "try again when they are done."
        ) from error
    except psycopg.ProgrammingError as error:
        # libpq quotes the address, with its password, in this error.
        if error.sqlstate is not None:
            raise
        raise ConfigurationError(f"{named} is not usable: PostgreSQL cannot read the address.") from None
    except psycopg.OperationalError as error:
        raise ConfigurationError(
            f"PostgreSQL does not answer: check {named} and that the server is running."
        ) from error


def past_locks(migration: Callable[[], Found]) -> Found:
    """Repeat a migration, which is one transaction, while requests hold tables that it wants (LOCK_WAIT_S)."""
    import psycopg

    last_try = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return migration()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if time.monotonic() > last_try:
                raise
        _log.info("tables are in use: the migration is tried again", extra={"action": "migration_waits"})
        time.sleep(random.uniform(0.5, 1.0) * TABLE_LOCK_MS / 1000)  # noqa: S311 jitter is no secret


def _is_current_postgres(first: Callable[[str], Any]) -> bool:
    """Whether LangGraph's statements have all been run too: a newer release of it may bring more."""
    newest = len(saver_tables("postgresql")) - 1
    return _is_current(first, _IN_POSTGRES) and first("select max(v) from checkpoint_migrations")[0] >= newest


def _is_current(first: Callable[[str], Any], exists: str) -> bool:
    """Whether our tables are those of this version or of a newer one, and LangGraph's are there."""
    has_tables = [first(f"select {exists.format(name)}")[0] for name in ("alembic_version", "checkpoints")]
    row = first("select version_num from alembic_version") if all(has_tables) else None
    if row is not None and row[0] > HEAD:
        _refuse_incompatible(first, exists, row[0])
    return row is not None and row[0] >= HEAD


def _refuse_incompatible(first: Callable[[str], Any], exists: str, revision: str) -> None:
    """Refuse a schema of which a newer release says that this one cannot work on it (docs/operations.md, Upgrade)."""
    if not first(f"select {exists.format('schema_compatibility')}")[0]:
        return
    oldest = first("select max(compatible_from) from schema_compatibility")[0]
    if oldest is not None and oldest > HEAD:
        raise ConfigurationError(
            f"The database stands at revision {revision}, on which only releases from revision {oldest} on can work; "
            f"this one knows {HEAD}: start a newer release, or restore a backup."
        )


def enter_schema(run: Callable[..., Any]) -> bool:
    """Wait for other migrations, then make the schema and LangGraph's tables; False when another process did it all."""
    run(f"set local lock_timeout = '{LOCK_WAIT_S}s'")
    run(f"select pg_advisory_xact_lock({ADVISORY_NAMESPACE}, {MIGRATION_LOCK})")
    run(f"set local lock_timeout = {TABLE_LOCK_MS}")
    schema: str = run(HOME).fetchone()[0]
    # "if not exists" would ask for the right to create schemas even where an administrator has made it.
    if not run("select to_regnamespace(quote_ident(%s)) is not null", (schema,)).fetchone()[0]:
        run(f"create schema {schema}")
    run(ENTER_HOME)
    if _is_current_postgres(lambda sql: run(sql).fetchone()):
        return False
    statements = saver_tables("postgresql")
    run(statements[0])
    version = run("select coalesce(max(v), -1) from checkpoint_migrations").fetchone()[0]
    for number, statement in enumerate(statements):
        if number > version:
            # An index is built concurrently only outside a transaction.
            run(statement.replace("CONCURRENTLY", ""))
            run("insert into checkpoint_migrations (v) values (%s)", (number,))
    return True


def _migrate_sqlite(named: str) -> bool:
    try:
        Path(named).absolute().parent.mkdir(parents=True, exist_ok=True)
        path = own_file(named)
        with contextlib.closing(sqlite3.connect(path, timeout=LOCK_WAIT_S)) as connection:
            is_current = _is_current(lambda sql: connection.execute(sql).fetchone(), _IN_SQLITE)
            if not is_current:
                _refuse_half_made(connection, path)
    except (OSError, sqlite3.DatabaseError) as error:
        raise ConfigurationError(f"The SQLite file {named} cannot be used: {error}.") from error
    if path != named:
        _log.warning(
            "%s holds tables of the original service and stays untouched; this version keeps its own in %s. "
            "To bring the sessions over, run: agent-runtime import-legacy --from sqlite:///%s",
            named,
            path,
            named,
            extra={"action": "own_file"},
        )
    if is_current:
        return False
    return _bring_up("sqlite", lambda: sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None), enter_file)


def _refuse_half_made(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a partial schema of version 0.3.0: it created SQLite tables one by one, their revision last."""
    names = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    if "sessions" in names and not (
        "alembic_version" in names and connection.execute("select 1 from alembic_version").fetchone()
    ):
        raise ConfigurationError(
            f"{path} holds tables that version 0.3.0 had begun to make when it was stopped, and no session: "
            "remove the file and start again."
        )


def enter_file(run: Callable[..., Any]) -> bool:
    """Hold the file, then make LangGraph's tables as its set-up makes them; False when another process did it all."""
    run("begin immediate")
    if _is_current(lambda sql: run(sql).fetchone(), _IN_SQLITE):
        return False
    for statement in saver_tables("sqlite"):
        run(statement)
    return True


def _bring_up(
    dialect: Literal["postgresql", "sqlite"], connect: Callable[[], Any], prepare: Callable[[Callable[..., Any]], bool]
) -> bool:
    """Give an empty database its tables; leave one that is behind to Alembic. False when another process did it all.

    The statements for an empty database spare the import of Alembic and SQLAlchemy: a fifth of a start, and 27 MiB.
    """
    exists = _IN_POSTGRES if dialect == "postgresql" else _IN_SQLITE
    tables = NEW_TABLES / f"{HEAD}.{dialect}.sql"
    with contextlib.closing(connect()) as connection:
        if not prepare(connection.execute):
            return False
        is_empty = not connection.execute(f"select {exists.format('alembic_version')}").fetchone()[0]
        if is_empty and tables.is_file():
            for statement in read_statements(tables):
                connection.execute(statement)
            connection.commit()
            return True
    return _upgrade(dialect, connect, prepare)


def _upgrade(
    dialect: Literal["postgresql", "sqlite"], connect: Callable[[], Any], prepare: Callable[[Callable[..., Any]], bool]
) -> bool:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    driver = {"postgresql": "postgresql+psycopg://", "sqlite": "sqlite://"}[dialect]
    engine = create_engine(driver, creator=connect, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            if not prepare(connection.exec_driver_sql):
                return False
            run_revisions(connection)
            return True
    except DBAPIError as error:
        raise error.orig or error from error
    finally:
        engine.dispose()


def run_revisions(connection: Any) -> None:
    """Run Alembic's revisions that a database lacks, in the open transaction of a SQLAlchemy connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
