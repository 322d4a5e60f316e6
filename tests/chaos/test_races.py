"""However many decide at once, one decision stands and the run goes on once."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.hammer import hammer
from tests.chaos.races import race
from tests.databases import PostgresServer


@pytest.mark.timeout(600)
def test_contradicting_decisions_and_results(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        asyncio.run(race(url, count=400, seed=5)).show()


@pytest.mark.timeout(600)
def test_many_clients_on_one_session(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        asyncio.run(hammer(url, messages_each=2, seed=5)).show()
