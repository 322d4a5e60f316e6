"""Which server a client uses: a named one, or one of its own on a database of the workspace."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from client.own_server import Address, sqlite_url
from client.session import Session
from client.session_index import Place, SessionIndex, is_served
from client.time_limit import TimeLimit
from errors import ConfigurationError
from settings import Settings

CHECK_S = 30.0


def named_server(url: str | None, db: str | None, settings: Settings) -> str | None:
    """The server that options or settings name: an address or the URL of a database; None where none does.

    Raises ConfigurationError for options that name none.
    """
    if url is not None and db:
        raise ConfigurationError("--db is the database of a server that is started here; --url names another one.")
    if url is not None and not is_address(url):
        raise ConfigurationError(f"'{url}' (--url) is not an http address.")
    if db:
        return db if "://" in db else sqlite_url(Path(db))
    if url is None and "db_url" in settings.model_fields_set:
        return settings.db_url
    return url


def is_address(server: str) -> bool:
    """Whether a server runs elsewhere, instead of being started on a database."""
    return server.startswith(("http://", "https://"))


def reached(url: str, key: str | None) -> Address:
    """The address of a running server that was asked once whether it accepts the key (None: none is known).

    Raises ConfigurationError, ServerUnreachable or ServerRefused for what cannot be used.
    """
    if key is not None and not (key.isascii() and key.isprintable()):
        raise ConfigurationError("The key (--key) cannot be sent in a header: use visible ASCII characters.")
    with closing(Session(url, key, TimeLimit(CHECK_S))) as session:
        session.get("/agents")
    return Address(url.rstrip("/"), key)


def new_place(server: str | None, index: SessionIndex) -> Place:
    """Where a new session is kept; its id is not known yet."""
    return Place("", server or sqlite_url(index.free_database()))


def found_place(session: str, server: str | None, index: SessionIndex) -> Place | None:
    """Where a session is kept; a server that was named is asked itself: the index has only this user's sessions."""
    return Place(session, server) if server else index.find(session, None)


def check_free(place: Place) -> Place:
    """Return a place that can be used; raises ConfigurationError where another process serves its database."""
    file = Path(place.server.removeprefix("sqlite:///"))
    if place.server.startswith("sqlite:///") and is_served(file):
        raise ConfigurationError(f"The session {place.session} is kept by a chat that is open in another window.")
    return place
