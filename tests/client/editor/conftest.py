"""One runtime for the tests of the editor's side."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from client.editor.servers import Servers
from client.own_server import Address, own_server, sqlite_url


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("server")
    before = os.environ.copy()
    os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = str(folder)
    try:
        with own_server(sqlite_url(folder / "chat.db")) as address:
            yield address
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def servers(address: Address) -> Iterator[Servers]:
    """The servers of an editor that uses a running one."""
    servers = Servers(url=address.url, key=address.key)
    yield servers
    servers.close()
