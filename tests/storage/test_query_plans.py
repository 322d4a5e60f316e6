"""What a turn, a list and the housekeeping ask finds its rows by an index, however many sessions there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from storage.session_state import composed
from storage.statements import statements
from tests.databases import PostgresServer

SESSIONS = 4000
FILL = f"""
insert into sessions (id, owner, created_at, last_activity, deleted_at, last_seq)
select 's' || n, 'owner' || n % 50, '2026-01-01', '2026-01-01T' || lpad((n % 24)::text, 2, '0'),
       case when n % 20 = 0 then '2026-01-02' end, 20
from generate_series(1, {SESSIONS}) n;
insert into runs (id, session_id, request_id, input, status, worker, lease_until, attempt, protocol_version, error,
                  created_at, updated_at)
select 'r' || n || '-' || k, 's' || n, 'q', '{{}}',
       case when k = 3 and n % 500 = 0 then 'running' when k = 3 and n % 40 = 0 then 'paused' else 'completed' end,
       1, 0, 1, 2, case when n % 900 = 0 then 'given_up' end, '2026', '2026'
from generate_series(1, {SESSIONS}) n, generate_series(1, 3) k;
insert into events (session_id, seq, run_id, request_id, chunk, at)
select 's' || n, k, 'r' || n || '-1', 'q', '{{}}', '2026'
from generate_series(1, {SESSIONS}) n, generate_series(1, 20) k;
insert into messages (session_id, id, position, role, content, created_at)
select 's' || n, 'm' || k, k, 'user', 'hello', '2026' from generate_series(1, {SESSIONS}) n, generate_series(1, 10) k;
insert into tool_calls (session_id, call_id, run_id, round, interrupt_id, kind, agent, tool_name, arguments, verdict,
                        digest, state, created_at, expires_at)
select 's' || n, 'c' || k, 'r' || n || '-3', 1, 'i', 'approval', 'coder', 'write_file', '{{}}', '{{}}', '',
       case when k = 5 and n % 40 = 0 then 'pending' else 'done' end, '2026', '2026-02-01'
from generate_series(1, {SESSIONS}) n, generate_series(1, 5) k;
insert into session_rules (id, session_id, tool_name, label, rule, call_id, created_at)
select 'u' || n, 's' || n, 'write_file', '', '{{}}', 'c', '2026' from generate_series(1, {SESSIONS}) n;
insert into plans (plan_id, session_id, version, call_id, summary, status, created_at, updated_at)
select 'p' || n, 's' || n, 1, 'c', '{{}}', 'completed', '2026', '2026' from generate_series(1, {SESSIONS}) n;
insert into audit_log (session_id, at, event, actor, details)
select 's' || n, '2026', 'verdict', 'policy', '{{}}' from generate_series(1, {SESSIONS}) n, generate_series(1, 5) k;
insert into llm_calls (id, session_id, run_id, request_id, agent, purpose, started_at, duration_ms, prompt_hash,
                       outcome)
select 'l' || n || '-' || k, 's' || n, 'r' || n || '-3', 'q', 'coder', 'agent', '2026', 1, '', 'ok'
from generate_series(1, {SESSIONS}) n, generate_series(1, 3) k;
insert into checkpoint_blobs (thread_id, channel, version, type)
select 's' || n, 'turn', k, 'null' from generate_series(1, {SESSIONS}) n, generate_series(1, 3) k;
insert into checkpoint_writes (thread_id, checkpoint_id, task_id, idx, channel, blob)
select 's' || n, k, 't', 0, 'turn', '' from generate_series(1, {SESSIONS}) n, generate_series(1, 3) k;
analyze;
"""
SMALL = {"workers", "pg_database"}
GIVEN: dict[str, Any] = {
    "session_id": "s7",
    "run_id": "r7-3",
    "request_id": "q",
    "owner": "owner7",
    "worker": 5,
    "attempt": 1,
    "seen_attempt": 1,
    "after": 3,
    "limit": 50,
    "max_chars": 1000,
    "deleted": 0,
    "offset": 0,
    "now": "2026-03-01",
    "before": "2026-01-01T00",
    "namespace": 1,
    "lease_s": 10.0,
    "stale_s": 0.9,
    "pause_s": 0.5,
    "status": "completed",
    "error": None,
    "ids": '["c1"]',
    "reason": "",
    "title": None,
    "environment": None,
    "protocol_version": 2,
    "sync": "off",
    "count": 1,
    "chunks": '["{}"]',
    "call_id": "c1",
    "plan_id": None,
    "seen": "1",
    "of_run": None,
    "ends_as": "cancelled",
    "input": "{}",
    "active_at": None,
    "is_used": 0,
    "agent": None,
    "chosen_by": None,
    "switches": 0,
    "ahead": 0,
    **{f"rows{number}": "[]" for number in range(12)},
}
CLAIM = ("lock_session", "session_state", "calls_of_round", "find_call", "used_call_ids")
SPEAK = ("append_events", "read_events", "events_of_run", "close_run_alone", "done_calls", "list_rules", "open_calls")
LISTS = ("list_sessions", "count_sessions", "list_messages", "list_audit", "given_up_runs")
KEEP = ("running_runs_of", "orphaned_runs", "take_over_run", "sessions_with_expired_calls", "sweep_sessions",
        "purgeable_sessions", "hard_delete_session", "void_from", "oldest_event")  # fmt: skip


@pytest.fixture(scope="module")
def filled(postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """A database with many sessions."""
    with postgres.database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.encode(), prepare=False)
        yield connection


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """The tables that a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from scans(part)


STEPS = {
    "new session": ("insert_session", "start_run", "begin_log", "add_events"),
    "new turn": ("hold_session", "end_paused_run", "start_run", "change_session", "add_events"),
    "resumed": ("hold_session", "resume_run", "change_session"),
    "answered": ("hold_session", "keep_run", "change_session", "add_events"),
    "closed": ("hold_session", "close_run", "change_session", "add_events"),
    "handed over": ("hold_session", "release_run", "change_session", "add_events"),
}
PARTS = ("move_calls", "insert_calls", "insert_messages", "insert_llm_calls", "insert_audit", "insert_rules",
         "move_plans", "insert_webhooks", "insert_checkpoints", "insert_checkpoint_blobs",
         "insert_checkpoint_writes", "put_checkpoint_writes")  # fmt: skip


@pytest.mark.parametrize("name", [*CLAIM, *SPEAK, *LISTS, *KEEP])
def test_a_statement_reads_no_table_from_end_to_end(filled: psycopg.Connection[Any], name: str) -> None:
    explain(filled, getattr(statements("postgresql"), name).sql)


@pytest.mark.parametrize("kind", STEPS)
def test_a_batch_reads_no_table_from_end_to_end(filled: psycopg.Connection[Any], kind: str) -> None:
    ending = "told_events" if "add_events" in STEPS[kind] else "told_end"
    explain(filled, composed(statements("postgresql"), STEPS[kind], PARTS, ending).decode())


def explain(filled: psycopg.Connection[Any], sql: str) -> None:
    """Fail where the plan of a statement reads a large table from end to end."""
    row = filled.execute(f"explain (format json) {sql.rstrip().rstrip(';')}".encode(), GIVEN).fetchone()
    assert row is not None
    found = row[0] if isinstance(row[0], list) else json.loads(row[0])
    assert [table for table in scans(found[0]["Plan"]) if table not in SMALL] == [], found
