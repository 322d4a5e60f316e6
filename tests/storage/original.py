"""Databases as the original service leaves them, in its three public states, on SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import psycopg

from storage.address import read_url

State = Literal["january", "planning", "newest"]
TABLES: Mapping[str, str] = {
    "sessions": """id varchar(36) primary key, title varchar(500), description text, created_at {time} not null,
        last_activity {time} not null, is_active boolean not null, deleted_at {time}""",
    "messages": """id varchar(36) primary key, session_db_id varchar(36) not null references sessions (id),
        role varchar(50) not null, content text, timestamp {time} not null, name varchar(255),
        tool_call_id varchar(255), tool_calls text, token_count integer, metadata_json text""",
    "agent_contexts": """id varchar(36) primary key, session_db_id varchar(36) not null references sessions (id),
        current_agent varchar(100) not null, created_at {time} not null, updated_at {time} not null,
        switch_count integer not null, metadata_json text""",
    "agent_switches": """id varchar(36) primary key, context_db_id varchar(36) not null references agent_contexts (id),
        from_agent varchar(100), to_agent varchar(100) not null, switched_at {time} not null, reason text,
        metadata_json text""",
    "pending_approvals": """id varchar(36) primary key, request_id varchar(255) not null,
        request_type varchar(50) not null, subject varchar(200), details json, call_id varchar(255),
        session_id varchar(255) not null, tool_name varchar(255), arguments json, reason text,
        created_at {time} not null, status varchar(50) not null, decision_at {time}, decision_reason text""",
}
PLAN_TABLES: Mapping[str, str] = {
    "plans": """id varchar(36) primary key, session_id varchar(36) not null references sessions (id),
        goal text not null, status varchar(20) not null, current_subtask_id varchar(36), metadata_json text,
        approved_at {time}, started_at {time}, completed_at {time}, created_at {time} not null,
        updated_at {time} not null""",
    "subtasks": """id varchar(36) primary key, plan_id varchar(36) not null references plans (id),
        description text not null, agent varchar(20) not null, status varchar(20) not null,
        dependencies_json text not null, estimated_time varchar(50), result text, error text, started_at {time},
        completed_at {time}, created_at {time} not null, updated_at {time} not null""",
    "fsm_states": """id varchar(36) primary key, session_id varchar(36) not null references sessions (id),
        current_state varchar(50) not null, context_metadata json, created_at {time} not null,
        updated_at {time} not null""",
}
READ = [{"id": "call-1", "type": "function", "function": {"name": "read_file", "arguments": '{"path": "a.py"}'}}]
WRITE = [
    {
        "id": "call-2",
        "type": "function",
        "function": {"name": "write_file", "arguments": '{"path": "a.py", "content": ""}'},
    }
]
STRANGE_ID = "session/with spaces:and äö"


def at(minute: int) -> str:
    """A naive UTC time, as the original stores it."""
    return f"2026-02-10 10:{minute:02}:00.123456"


def message(number: int, session: str, role: str, content: str | None, **more: Any) -> dict[str, Any]:
    row = {"id": f"m-{session[:8]}-{number}", "session_db_id": session, "role": role, "content": content}
    return {**row, "timestamp": at(number), **more}


ROWS: Mapping[str, Sequence[dict[str, Any]]] = {
    "sessions": [
        {"id": "talk", "title": "A talk", "description": None, "created_at": at(0), "last_activity": at(9),
         "is_active": True, "deleted_at": None},
        {"id": STRANGE_ID, "title": None, "description": "odd", "created_at": at(0), "last_activity": at(3),
         "is_active": True, "deleted_at": None},
        {"id": "gone", "title": "Gone", "description": None, "created_at": at(0), "last_activity": at(1),
         "is_active": False, "deleted_at": at(2)},
        {"id": "empty", "title": None, "description": None, "created_at": at(0), "last_activity": at(0),
         "is_active": True, "deleted_at": None},
    ],
    "messages": [
        message(1, "talk", "user", "Read a.py"),
        message(2, "talk", "system", "Switched to coder agent"),
        message(3, "talk", "assistant", None, tool_calls=json.dumps(READ)),
        message(4, "talk", "tool", "x = 1", name="read_file", tool_call_id="call-1"),
        message(5, "talk", "assistant", "It holds one line: привет.", token_count=7),
        message(6, "talk", "user", "Empty it"),
        message(7, "talk", "assistant", "", tool_calls=json.dumps(WRITE)),
        message(1, STRANGE_ID, "user", "hello"),
        message(2, STRANGE_ID, "assistant", "Hello!"),
        message(1, "gone", "user", "forget me"),
    ],
    "agent_contexts": [
        {"id": "ctx-1", "session_db_id": "talk", "current_agent": "coder", "created_at": at(0), "updated_at": at(2),
         "switch_count": 1, "metadata_json": None},
        {"id": "ctx-2", "session_db_id": STRANGE_ID, "current_agent": "retired", "created_at": at(0),
         "updated_at": at(2), "switch_count": 0, "metadata_json": "{}"},
    ],
    "agent_switches": [
        {"id": "sw-1", "context_db_id": "ctx-1", "from_agent": "orchestrator", "to_agent": "coder",
         "switched_at": at(2), "reason": "Code", "metadata_json": json.dumps({"confidence": "high"})},
    ],
    "pending_approvals": [
        {"id": "pa-1", "request_id": "call-2", "request_type": "tool", "subject": "write_file", "details": {},
         "call_id": "call-2", "session_id": "talk", "tool_name": "write_file",
         "arguments": {"path": "a.py", "content": ""}, "reason": "File modification requires user approval",
         "created_at": at(7), "status": "pending", "decision_at": None, "decision_reason": None},
        {"id": "pa-2", "request_id": "call-gone", "request_type": "tool", "subject": "execute_command", "details": {},
         "call_id": "call-gone", "session_id": "talk", "tool_name": "execute_command",
         "arguments": {"command": "make"}, "reason": None, "created_at": at(3), "status": "pending",
         "decision_at": None, "decision_reason": None},
        {"id": "pa-3", "request_id": "call-old", "request_type": "tool", "subject": "execute_command", "details": {},
         "call_id": "call-old", "session_id": "talk", "tool_name": "execute_command", "arguments": {"command": "ls"},
         "reason": None, "created_at": at(3), "status": "rejected", "decision_at": at(4), "decision_reason": "No."},
        {"id": "pa-4", "request_id": "call-lost", "request_type": "tool", "subject": None, "details": None,
         "call_id": "call-lost", "session_id": "no-such-session", "tool_name": "write_file", "arguments": {},
         "reason": None, "created_at": at(3), "status": "pending", "decision_at": None, "decision_reason": None},
    ],
    "plans": [
        {"id": "plan-1", "session_id": "talk", "goal": "Login", "status": "in_progress",
         "current_subtask_id": "st-1", "metadata_json": json.dumps({"description": "A form"}), "approved_at": at(3),
         "started_at": at(3), "completed_at": None, "created_at": at(2), "updated_at": at(3)},
    ],
    "subtasks": [
        {"id": "st-1", "plan_id": "plan-1", "description": "Create the form", "agent": "coder", "status": "done",
         "dependencies_json": "[]", "estimated_time": "5 min", "result": "made", "error": None, "started_at": at(3),
         "completed_at": at(4), "created_at": at(2), "updated_at": at(4)},
        {"id": "st-2", "plan_id": "plan-1", "description": "Explain it", "agent": "ask", "status": "pending",
         "dependencies_json": '["st-1"]', "estimated_time": None, "result": None, "error": None, "started_at": None,
         "completed_at": None, "created_at": at(2), "updated_at": at(2)},
    ],
    "fsm_states": [
        {"id": "fsm-1", "session_id": "talk", "current_state": "plan_execution", "context_metadata": {},
         "created_at": at(2), "updated_at": at(3)},
    ],
}  # fmt: skip


def make_original(url: str, state: State, *, versioned: bool = False) -> None:
    """Make the original's tables with rows at `url`; `versioned` adds an `alembic_version` of its own."""
    address = read_url(url)
    tables = dict(TABLES) if state == "january" else {**TABLES, **PLAN_TABLES}
    if address.dialect == "sqlite":
        with contextlib.closing(sqlite3.connect(address.target, isolation_level=None)) as connection:
            _fill(connection, tables, "datetime", ":{}", versioned)
    else:
        with psycopg.connect(address.target) as connection:
            _fill(connection, tables, "timestamp", "%({})s", versioned)


def _fill(connection: Any, tables: Mapping[str, str], time: str, place: str, versioned: bool) -> None:
    for table, columns in tables.items():
        connection.execute(f"create table {table} ({columns.format(time=time)})")
        for row in ROWS[table]:
            written = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in row.items()}
            places = ", ".join(place.format(name) for name in row)
            connection.execute(f"insert into {table} ({', '.join(row)}) values ({places})", written)
    if versioned:
        connection.execute("create table alembic_version (version_num varchar(32) primary key)")
        connection.execute("insert into alembic_version values ('a1b2c3d4e5f6')")


def contents(url: str, state: State) -> dict[str, list[Any]]:
    """Every row of the original's tables."""
    address = read_url(url)
    tables = dict(TABLES) if state == "january" else {**TABLES, **PLAN_TABLES}
    is_file = address.dialect == "sqlite"
    opened: Any = sqlite3.connect(address.target) if is_file else psycopg.connect(address.target)
    with contextlib.closing(opened) as connection:
        schema = "main" if is_file else "public"
        return {t: sorted(map(repr, connection.execute(f"select * from {schema}.{t}").fetchall())) for t in tables}
