"""The webhooks table: what the operator's receiver is still to be told; removed with its session."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from storage.clock import now, stamp
from storage.database import Transaction
from storage.tables.columns import read
from storage.tables.runs import Run

EVENTS = {
    "awaiting_approval": "approval.waiting",
    "awaiting_plan": "approval.waiting",
    "awaiting_answer": "answer.waiting",
    "completed": "turn.ended",
    "cancelled": "turn.ended",
    "failed": "turn.failed",
}
"""The event of each outcome; an outcome without one is told to nobody."""


@dataclass(frozen=True)
class Webhook:
    """One row; `payload` is the body as it is signed and sent."""

    id: str
    session_id: str
    event: str
    payload: str
    tries: int
    next_at: str


async def announce(
    tx: Transaction, run: Run, outcome: str, code: str | None = None, records: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write what the end or pause of a run means for the receiver, in the transaction that stores it.

    `records` are the calls that the run waits for. The payload holds ids, names and states, no text.
    """
    event = EVENTS.get(outcome)
    if event is None:
        return
    told = {
        "id": uuid.uuid4().hex,
        "event": event,
        "at": stamp(),
        "session_id": run.session_id,
        "run_id": run.id,
        "outcome": outcome,
        "code": code,
        "calls": [{key: record[key] for key in ("call_id", "tool_name", "expires_at")} for record in records],
    }
    row = {"webhook_id": told["id"], "session_id": run.session_id, "event": event, "now": stamp()}
    await tx.run("add_webhook", payload=json.dumps(told, ensure_ascii=True), **row)


async def due(tx: Transaction, limit: int) -> list[Webhook]:
    """Return rows that are to be tried now, the oldest first."""
    return [read(Webhook, row) for row in await tx.rows("due_webhooks", now=stamp(), limit=limit)]


async def claim(tx: Transaction, webhook: Webhook, again_in_s: float) -> bool:
    """Take one try of a row, which comes again later; False when another process has taken it."""
    later = stamp(now() + timedelta(seconds=again_in_s))
    return await tx.run("claim_webhook", webhook_id=webhook.id, tries=webhook.tries, later=later) == 1


async def remove(tx: Transaction, webhook: Webhook) -> None:
    """Forget a row that is delivered or given up."""
    await tx.run("remove_webhook", webhook_id=webhook.id)
