"""One runtime for the tests of the editor's side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client.editor.servers import Servers
from client.own_server import Address


@pytest.fixture
def servers(address: Address) -> Iterator[Servers]:
    """The servers of an editor that uses a running one."""
    servers = Servers(url=address.url, key=address.key)
    yield servers
    servers.close()
