"""Killed servers lose nothing, repeat nothing and leave nobody waiting."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.kills import kill_at_random
from tests.databases import PostgresServer


@pytest.mark.timeout(600)
def test_killed_at_random_points(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        report = asyncio.run(kill_at_random(url, count=20, seed=5, sessions=3))
    report.show()
    assert report.figures["kills"] == 20
    assert report.figures["orphaned runs"] > 0, "the killed servers had runs, and each was taken over"
