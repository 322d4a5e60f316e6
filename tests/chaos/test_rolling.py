"""A deployment that restarts one instance after the other is not noticed by a run."""

from __future__ import annotations

import asyncio

from tests.chaos.rolling import restart_in_turn
from tests.databases import PostgresServer


def test_rolling_restarts(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        asyncio.run(restart_in_turn(url, count=2, seed=5)).show()
