"""A deployment that restarts one instance after the other is not noticed by a run."""

from __future__ import annotations

import asyncio

from tests.chaos.rolling import restart_in_turn
from tests.databases import PostgresServer


def test_the_schema_of_the_next_release_comes_in_the_middle(postgres: PostgresServer) -> None:
    """Both instances work on under load, and start again on the newer schema: nothing is lost."""
    with postgres.database() as url:
        asyncio.run(restart_in_turn(url, count=2, seed=7, migrates=True)).show()


def test_rolling_restarts(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        asyncio.run(restart_in_turn(url, count=2, seed=5)).show()
