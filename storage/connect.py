"""Opens the database that `DB_URL` names."""

from __future__ import annotations

from storage.address import read_url
from storage.database import Database
from storage.home import own_file
from storage.postgres import PostgresDatabase
from storage.sqlite import SqliteDatabase
from storage.statements import statements


async def open_database(url: str) -> Database:
    """Connect to the database of `DB_URL`; its schema is not touched (`storage.schema.migrate` does that)."""
    address = read_url(url)
    database: PostgresDatabase | SqliteDatabase
    if address.dialect == "postgresql":
        database = PostgresDatabase(address.target, statements("postgresql"))
    else:
        database = SqliteDatabase(own_file(address.target), statements("sqlite"))
    await database.open()
    return database
