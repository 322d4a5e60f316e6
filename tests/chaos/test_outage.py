"""A database that goes away and comes back costs time, not runs."""

from __future__ import annotations

import asyncio

from tests.chaos.outage import own_postgres, stop_under_streams


def test_postgres_stopped_under_streams() -> None:
    with own_postgres() as postgres:
        report = asyncio.run(stop_under_streams(postgres, streams=10, away_s=4.0, seed=5))
    report.show()
    assert report.figures["503 after s"] <= 4, report.figures
    assert report.figures["readiness meanwhile"] == 503
    assert report.figures["first request served after s"] <= 3, report.figures
