"""The llm_calls table: what each model call cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from storage.database import Transaction


async def insert(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows (the columns of the table as keys), once each."""
    if rows:
        await tx.run("insert_llm_calls", rows=json.dumps(list(rows)))
