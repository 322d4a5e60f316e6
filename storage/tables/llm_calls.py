"""The llm_calls table: tokens, duration and outcome of each model call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.database import Transaction, Writer
from storage.tables.columns import read, stored


@dataclass(frozen=True)
class LlmCall:
    """One row."""

    id: str
    session_id: str
    run_id: str
    request_id: str
    agent: str
    purpose: str
    model: str | None
    started_at: str
    duration_ms: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    tool_calls: int
    prompt_hash: str
    outcome: str
    error: str | None
    message_id: str | None = None
    """The message of the thread that came of it."""
    tools_hash: str | None = None
    """Short SHA-256 of the declarations of the tools that were offered."""
    retries: int = 0
    cached_tokens: int | None = None
    """The prompt tokens that the server had in its cache; None where it did not say."""


async def insert(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, given by the fields of LlmCall, once each."""
    if rows:
        await tx.run("insert_llm_calls", rows=json.dumps([stored(LlmCall, row) for row in rows]))


async def listing(tx: Transaction, session_id: str) -> list[LlmCall]:
    """Return the model calls of a session, oldest first."""
    return [read(LlmCall, row) for row in await tx.rows("list_llm_calls", session_id=session_id)]
