"""A reader that is cut off reads on where it was, at any instance."""

from __future__ import annotations

import asyncio

from tests.chaos.disconnects import disconnect_at_random
from tests.databases import PostgresServer


def test_cut_off_readers_read_on(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        asyncio.run(disconnect_at_random(url, count=100, seed=5)).show()
