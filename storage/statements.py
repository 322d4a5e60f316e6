"""The named statements of `sql/`, with the columns of each table filled in from its record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import aiosql

from storage.database import Dialect
from storage.tables.audit import AuditEntry
from storage.tables.calls import CallRecord
from storage.tables.columns import columns_of, names_of
from storage.tables.llm_calls import LlmCall
from storage.tables.logins import Login
from storage.tables.messages import MessageRecord
from storage.tables.plans import PlanRecord
from storage.tables.rules import SessionRule
from storage.tables.runs import Run
from storage.tables.sessions import Session
from storage.tables.webhooks import Webhook

RECORDS: Mapping[str, type] = {
    "sessions": Session,
    "runs": Run,
    "tool_calls": CallRecord,
    "messages": MessageRecord,
    "plans": PlanRecord,
    "session_rules": SessionRule,
    "audit_log": AuditEntry,
    "llm_calls": LlmCall,
    "console_logins": Login,
    "webhooks": Webhook,
}
"""The record that lists the columns of each table."""
_SQL = Path(__file__).parent / "sql"
_PLACEHOLDER = re.compile(r"\{\{(values of |object of )?(\w+)\}\}")


@cache
def statements(dialect: Dialect) -> Any:
    """Every statement of a dialect as a method; a name that occurs twice is an error."""
    files = [*sorted((_SQL / "both").glob("*.sql")), *sorted((_SQL / dialect).glob("*.sql"))]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return aiosql.from_str(_PLACEHOLDER.sub(_columns, text), "apsycopg" if dialect == "postgresql" else "aiosqlite")


def _columns(found: re.Match[str]) -> str:
    """`{{table}}` lists the columns; `{{values of table}}` reads them from the JSON object `r.value`.

    `{{object of table}}` makes a JSON object of them, in SQLite.
    """
    record = RECORDS[found[2]]
    names = [column.name for column in columns_of(record) if not column.is_computed]
    match found[1]:
        case "values of ":
            return ", ".join(f"r.value ->> '{name}'" for name in names)
        case "object of ":
            pairs = ", ".join(f"'{name}', {name}" for name in names)
            return f"json_object({pairs})"
        case _:
            return names_of(record)
