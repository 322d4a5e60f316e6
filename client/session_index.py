"""Which sessions a workspace had and which server keeps them; it lies in the user's data folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from errors import ConfigurationError

MAX_WINDOWS = 20
MAX_TITLE_CHARS = 80
FILE_NAME = "sessions.jsonl"


@dataclass(frozen=True)
class Place:
    """A session and where it is kept: the address of a server, or the URL of a database of the client's own."""

    session: str
    server: str
    workspace: str = ""
    title: str = ""
    """The first line of its first request."""
    at: str = ""
    """When it was last used, as an ISO 8601 time in UTC."""


class SessionIndex:
    """The sessions of one workspace: a line for each use of one, the newest last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / FILE_NAME

    def note(self, place: Place, request: str = "") -> None:
        """Make a session the newest one; its first request gives it its title."""
        known = self.find(place.session, place.server)
        title = place.title or (known.title if known else "") or title_of(request)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(vars(replace(place, title=title, at=now))) + "\n")

    def newest(self, server: str | None) -> Place | None:
        """The newest session of a server, or of any."""
        return next(iter(self.sessions(server)), None)

    def find(self, session: str, server: str | None) -> Place | None:
        """Where a session is kept; None for one that this workspace never had."""
        return next((place for place in self.sessions(server) if place.session == session), None)

    def sessions(self, server: str | None = None) -> list[Place]:
        """The sessions of a server, or of all, the newest first."""
        return _newest_first(place for place in _read(self._file) if server in (None, place.server))

    def free_database(self) -> Path:
        """A database file that no other window serves or is about to: one process at a time serves a SQLite file."""
        for number in range(1, MAX_WINDOWS + 1):
            file = self._folder / ("chat.db" if number == 1 else f"chat-{number}.db")
            if not is_served(file) and _claim(file):
                return file
        raise ConfigurationError(f"{MAX_WINDOWS} chats are open in this workspace: close one, or give a --db.")


def sessions_below(folder: Path, server: str | None) -> list[Place]:
    """The sessions of all workspaces that have a folder below `folder`, the newest first."""
    places = [place for file in folder.glob(f"*/{FILE_NAME}") for place in _read(file) if place.workspace]
    return _newest_first(place for place in sorted(places, key=lambda p: p.at) if server in (None, place.server))


def title_of(request: str) -> str:
    """Make a title of a request: its first line that says something."""
    return next((line.strip()[:MAX_TITLE_CHARS] for line in request.splitlines() if line.strip()), "")


def _newest_first(places: Iterable[Place]) -> list[Place]:
    last: dict[tuple[str, str], Place] = {}
    for place in places:
        last.pop((place.session, place.server), None)
        last[place.session, place.server] = place
    return list(reversed(last.values()))


def _read(file: Path) -> list[Place]:
    if not file.exists():
        return []
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
        return [Place(*(str(row.get(name, "")) for name in _FIELDS)) for row in rows]
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"The file {file} cannot be read; remove it.") from error


_FIELDS = tuple(Place.__dataclass_fields__)


_claims: dict[Path, IO[str]] = {}
"""The databases that this process chose; each stays its own until it ends, also before its server has started."""


def _claim(database: Path) -> bool:
    """Keep a database for this process; False where another process that has just begun chose it."""
    if sys.platform == "win32" or database in _claims:
        return True
    import fcntl

    claim = database.with_name(database.name + ".claim").open("a")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        claim.close()
        return False
    _claims[database] = claim
    return True


def is_served(database: Path) -> bool:
    """Whether a process holds the lock of a SQLite file (storage/sqlite.py)."""
    lock = database.with_name(database.name + ".lock")
    if sys.platform == "win32" or not lock.exists():
        return False
    import fcntl

    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
