"""Opens the database that `DB_URL` names."""

from __future__ import annotations

from storage.address import LISTEN_SETTING, read_url
from storage.database import Database
from storage.home import own_file
from storage.postgres import PostgresDatabase
from storage.sqlite import SqliteDatabase
from storage.statements import statements


async def open_database(url: str, listen_url: str | None = None) -> Database:
    """Connect to the database of `DB_URL`; its schema is not touched (`storage.schema.migrate` does that).

    `listen_url` is the address of the same PostgreSQL without the pooler in transaction mode through which `url` leads.
    """
    address = read_url(url)
    database: PostgresDatabase | SqliteDatabase
    if address.dialect == "postgresql":
        direct = read_url(listen_url, LISTEN_SETTING).target if listen_url is not None else None
        database = PostgresDatabase(address.target, statements("postgresql"), direct)
    else:
        database = SqliteDatabase(own_file(address.target), statements("sqlite"))
    await database.open()
    return database
