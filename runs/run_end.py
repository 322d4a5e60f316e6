"""The end of a run, or its pause: its row, and what the receiver of webhooks is told of it, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runs.engine import Engine
from storage.database import Transaction
from storage.tables import runs, webhooks
from storage.tables.runs import Run, RunStatus
from wire.protocol import Outcome


async def store_end(
    tx: Transaction,
    engine: Engine,
    run: Run,
    status: RunStatus,
    outcome: Outcome,
    code: str | None = None,
    records: Sequence[Mapping[str, Any]] = (),
) -> None:
    """End or pause a running run, or end a paused one; `records` are the calls that it waits for from now on.

    Raises RunLost when another worker has taken the running run.
    """
    if run.status == "paused":
        await runs.end_paused(tx, run.session_id, status)
    else:
        await runs.close(tx, run, status, code)
    if engine.settings.webhook_url is not None:
        await webhooks.announce(tx, run, outcome, code, records)
