"""The servers behind an editor's sessions: a named one, or one of this process per database of a workspace."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from client.configuration import client_settings, data_folder, workspace_folder
from client.own_server import Address, own_server
from client.placement import check_free, found_place, is_address, named_server, new_place, reached
from client.session_index import Place, SessionIndex, sessions_below


class Servers:
    """Finds and starts servers; safe from any thread."""

    def __init__(self, url: str | None = None, key: str | None = None, db: str | None = None) -> None:
        self._settings = client_settings()
        self.named = named_server(url, db, self._settings)
        """The server that the command line or the settings name."""
        self._key = key or self._settings.first_key
        self._running: dict[str, Address] = {}
        self._new: dict[Path, Place] = {}
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()

    @property
    def context_tokens(self) -> int:
        """How much the model reads at once, as far as this user's settings know."""
        return self._settings.llm_context_tokens

    @property
    def starts_own(self) -> bool:
        """Whether new sessions are kept by a server of this process."""
        return self.named is None or not is_address(self.named)

    @property
    def key_is_missing(self) -> bool:
        """Whether a server runs elsewhere and no key is known for it."""
        return not self.starts_own and not self._key

    def check(self) -> None:
        """Ask a server that runs elsewhere whether it accepts the key; raises what it is refused for."""
        if self.named is not None and not self.starts_own and self._key is not None:
            self._running[self.named] = reached(self.named, self._key)

    def place_for_new(self, workspace: Path) -> Place:
        """Where a new session of a workspace is kept: all new ones of this process in the same database."""
        with self._lock:
            if workspace not in self._new:
                self._new[workspace] = new_place(self.named, SessionIndex(workspace_folder(workspace)))
            return self._new[workspace]

    def find(self, session: str, workspace: Path) -> Place | None:
        """Where an earlier session is kept; raises ConfigurationError where another process serves it."""
        place = found_place(session, self.named, SessionIndex(workspace_folder(workspace)))
        if place is None:
            everywhere = sessions_below(data_folder() / "workspaces", None)
            place = next((known for known in everywhere if known.session == session), None)
        if place is None or place.server in self._running:
            return place
        return check_free(place)

    def sessions(self, workspace: Path | None) -> list[Place]:
        """The sessions of a workspace, or of all, the newest first."""
        if workspace is not None:
            return SessionIndex(workspace_folder(workspace)).sessions(self.named)
        return sessions_below(data_folder() / "workspaces", self.named)

    def address(self, server: str) -> Address:
        """The address and key of a server; one of our own is started when it does not run."""
        with self._lock:
            if server not in self._running:
                self._running[server] = (
                    Address(server, self._key) if is_address(server) else self._stack.enter_context(own_server(server))
                )
            return self._running[server]

    def close(self) -> None:
        """Stop the servers of this process."""
        with self._lock:
            self._running.clear()
            self._stack.close()
