"""The messages table: the full history for clients, append-only, idempotent by message id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from storage.database import Transaction, Writer, stamp
from storage.tables.columns import read, stored

Role = Literal["user", "assistant", "tool"]


@dataclass(frozen=True)
class MessageRecord:
    """One message; `tool_calls` is [{id, name, arguments}]."""

    id: str
    role: Role
    content: str
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    created_at: str = ""
    run_id: str | None = None


async def append(
    tx: Writer, session_id: str, messages: Sequence[MessageRecord], *, run_id: str | None = None, ahead: int = 0
) -> None:
    """Append messages in order, before the last `ahead` events of the log; of one id the first stays."""
    if not messages:
        return
    rows = []
    first_of = {message.id: message for message in reversed(messages)}
    for number, message in enumerate((m for m in messages if first_of[m.id] is m), start=1):
        filled = {
            "tool_calls": message.tool_calls or None,
            "created_at": message.created_at or stamp(),
            "run_id": message.run_id or run_id,
        }
        rows.append({"position": number, **stored(MessageRecord, {**vars(message), **filled})})
    await tx.run("insert_messages", session_id=session_id, rows=json.dumps(rows), ahead=ahead)


async def history(tx: Transaction, session_id: str) -> list[MessageRecord]:
    """Return the whole history, oldest first."""
    return [read(MessageRecord, row) for row in await tx.rows("list_messages", session_id=session_id)]


@dataclass(frozen=True)
class PlacedMessage:
    """A message with its place: `after_seq` is the newest event of its session when it was written.

    None where the log was empty: a first message, or one that was imported or copied.
    """

    position: int
    after_seq: int | None
    message: MessageRecord


async def page(tx: Transaction, session_id: str, limit: int, offset: int) -> list[PlacedMessage]:
    """A part of the history, oldest first."""
    rows = await tx.rows("page_of_messages", session_id=session_id, limit=limit, offset=offset)
    return [PlacedMessage(row.position, row.after_seq, read(MessageRecord, row)) for row in rows]


async def count(tx: Transaction, session_id: str) -> int:
    """How many messages there are."""
    return int(await tx.value("count_messages", session_id=session_id))
