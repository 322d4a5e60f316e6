"""The workers table: the lease of each process that drives runs, by the clock of the database."""

from __future__ import annotations

import time

from storage.database import ADVISORY_NAMESPACE, Transaction, set_clock
from storage.tables.columns import read
from storage.tables.runs import Run

LEASE_S = 10.0
STALE_S = 0.9
"""A worker without its advisory lock counts as dead when it has not renewed its lease for three heartbeats."""
FORGET_S = 3600.0


async def enter(tx: Transaction, worker: int) -> float:
    """Take the lease of this worker, as `renew_lease` does; rows of workers that ended long ago are removed.

    PostgreSQL only.
    """
    await tx.run("forget_workers", after_s=FORGET_S)
    return await renew_lease(tx, worker)


async def renew_lease(tx: Transaction, worker: int) -> float:
    """Keep the lease of this worker, and with it all its runs; sets the time by the clock of the database.

    Returns until when no other worker takes over its runs, even if the advisory lock is lost, by the monotonic clock
    of this process.

    PostgreSQL only: SQLite has the lock of its file.
    """
    asked_at = time.monotonic()
    told: float = await tx.value("renew_lease", worker=worker, lease_s=LEASE_S)
    set_clock(told, asked_at, time.monotonic())
    return asked_at + STALE_S


async def end_lease(tx: Transaction, worker: int) -> None:
    """Hand every run of this worker over at once."""
    await tx.row("end_lease", worker=worker)


async def orphans(tx: Transaction, worker: int) -> list[Run]:
    """Running runs whose worker is gone."""
    rows = await tx.rows("orphaned_runs", worker=worker, namespace=ADVISORY_NAMESPACE, lease_s=LEASE_S, stale_s=STALE_S)
    return [read(Run, row) for row in rows]
