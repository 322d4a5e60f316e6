"""The webhooks table: what the operator's receiver is still to be told; removed with its session."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from storage.database import Transaction, Writer, now, stamp
from storage.tables.columns import read, stored
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


def announcement(
    run: Run, outcome: str, code: str | None = None, records: Sequence[Mapping[str, Any]] = ()
) -> Webhook | None:
    """What the end of an attempt means for the receiver; None when it is told nothing of it.

    `records` are the calls that the run waits for. The payload holds ids, names and states, no text.
    """
    event = EVENTS.get(outcome)
    if event is None:
        return None
    at = stamp()
    told = {
        "id": uuid.uuid4().hex,
        "event": event,
        "at": at,
        "session_id": run.session_id,
        "run_id": run.id,
        "outcome": outcome,
        "code": code,
        "calls": [{key: record[key] for key in ("call_id", "tool_name", "expires_at")} for record in records],
    }
    return Webhook(str(told["id"]), run.session_id, event, json.dumps(told, ensure_ascii=True), 0, at)


async def add(tx: Writer, webhook: Webhook) -> None:
    """Write a row, together with what it tells."""
    await tx.run("insert_webhooks", rows=json.dumps([stored(Webhook, vars(webhook))]))


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
