"""Database URLs in every supported form."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from errors import ConfigurationError
from storage.database import Dialect

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
