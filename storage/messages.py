"""The messages table: the full history for clients, append-only, idempotent by message id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from json_text import storable
from storage.clock import stamp
from storage.database import Transaction

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


async def append(
    tx: Transaction, session_id: str, messages: Sequence[MessageRecord], *, run_id: str | None = None
) -> None:
    """Append messages in order; one whose id is there stays as it is."""
    if not messages:
        return
    rows = [
        {
            "n": number,
            "id": message.id,
            "run_id": run_id,
            "role": message.role,
            "content": storable(message.content),
            "name": message.name,
            "tool_call_id": message.tool_call_id,
            "tool_calls": json.dumps(storable(message.tool_calls), ensure_ascii=False) if message.tool_calls else None,
            "created_at": message.created_at or stamp(),
        }
        for number, message in enumerate(messages, start=1)
    ]
    await tx.run("insert_messages", session_id=session_id, rows=json.dumps(rows))


async def history(tx: Transaction, session_id: str) -> list[MessageRecord]:
    """The whole history, oldest first."""
    return [
        MessageRecord(
            id=row[0],
            role=row[1],
            content=row[2],
            name=row[3],
            tool_call_id=row[4],
            tool_calls=json.loads(row[5]) if row[5] else None,
            created_at=row[6],
        )
        for row in await tx.rows("list_messages", session_id=session_id)
    ]
