"""Which sessions a workspace had and which server keeps them; it lies in the user's data folder."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from errors import ConfigurationError

MAX_WINDOWS = 20


@dataclass(frozen=True)
class Place:
    """A session and where it is kept: the address of a server, or the URL of a database of the chat's own."""

    session: str
    server: str


class SessionIndex:
    """The lines of one workspace, the newest last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "sessions.jsonl"

    def note(self, place: Place) -> None:
        """Make a session the newest one."""
        if self._places()[-1:] != [place]:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(vars(place)) + "\n")

    def newest(self, server: str | None) -> Place | None:
        """The newest session of a server, or of any."""
        return next((place for place in reversed(self._places()) if server in (None, place.server)), None)

    def find(self, session: str, server: str | None) -> Place | None:
        """Where a session is kept; None for one that this workspace never had."""
        found = (place for place in reversed(self._places()) if place.session == session)
        return next((place for place in found if server in (None, place.server)), None)

    def free_database(self) -> Path:
        """A database file that no other window serves: one process at a time serves a SQLite file."""
        for number in range(1, MAX_WINDOWS + 1):
            file = self._folder / ("chat.db" if number == 1 else f"chat-{number}.db")
            if not is_served(file):
                return file
        raise ConfigurationError(f"{MAX_WINDOWS} chats are open in this workspace: close one, or give a --db.")

    def _places(self) -> list[Place]:
        if not self._file.exists():
            return []
        try:
            rows = [json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines() if line]
            return [Place(str(row["session"]), str(row["server"])) for row in rows]
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(f"The file {self._file} cannot be read; remove it.") from error


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
