"""Readers that never read, beside as many that do: bounded bytes each."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.chaos.readers import MAX_MORE_MIB, dead_beside_reading
from tests.databases import PostgresServer

READERS = 60


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_dead_readers_beside_reading_ones_cost_little(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        report = asyncio.run(dead_beside_reading(url, READERS, rounds=1, seed=5))
    report.show()
    assert report.figures["memory for the dead readers MiB (max)"] <= MAX_MORE_MIB, report.figures
