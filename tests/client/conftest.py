"""A home folder of their own for the tests of clients, and one runtime that several of them share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.own_server import Address, own_server, sqlite_url


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("AGENT_RUNTIME__")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "APPDATA"):
        monkeypatch.setenv(name, str(home))
    for name in ("CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(Path(home, name.lower())))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A runtime with a database of its own."""
    folder = tmp_path_factory.mktemp("server")
    before = os.environ.copy()
    os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = str(folder)
    try:
        with own_server(sqlite_url(folder / "chat.db")) as address:
            yield address
    finally:
        os.environ.clear()
        os.environ.update(before)
