"""A seeded tenth of the faults of all kinds: every history keeps its promises."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.chaos.mixed import FAULTS, draw, mix, name_of
from tests.chaos.outage import own_postgres

COUNT = 50


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="the processes of PostgreSQL are found in /proc")
def test_faults_of_all_kinds_break_no_promise() -> None:
    with own_postgres() as postgres:
        report = asyncio.run(mix(postgres, COUNT, seed=14))
    report.show()
    assert report.violations == []
    assert report.figures["faults"] == COUNT
    assert report.figures["turns that met a fault"] > 0
    assert report.figures["take-over max s"] > 0, "a killed worker had runs"


def test_every_kind_of_fault_is_drawn() -> None:
    assert {name_of(fault) for fault in draw(COUNT, seed=14)} == {name_of(fault) for fault in FAULTS}
    assert draw(COUNT, seed=14) == draw(COUNT, seed=14)
    assert draw(COUNT, seed=14) != draw(COUNT, seed=15)
