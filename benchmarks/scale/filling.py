"""Fills the tables with sessions as use leaves them, by bulk statements."""

from __future__ import annotations

from typing import Any

import psycopg

SESSIONS_PER_OWNER = 100
FILL = """
insert into sessions (id, owner, title, created_at, last_activity, last_seq, deleted_at)
select 's' || lpad(n::text, 7, '0'), '/owner' || (n - 1) / {per_owner}, 'A title', '{now}', '{now}', {events},
       case when n % 10 = 9 then '{now}' end
from generate_series(1, {sessions}) n;
insert into runs (id, session_id, request_id, input, status, worker, lease_until, attempt, protocol_version,
                  created_at, updated_at)
select 'r' || lpad(n::text, 7, '0') || '-' || k, 's' || lpad(n::text, 7, '0'), 'q', '{{}}',
       case when k = 3 and n % 4 = 0 then 'paused' else 'completed' end, 1, 0, 1, 2, '{now}', '{now}'
from generate_series(1, {sessions}) n, generate_series(1, 3) k;
insert into events (session_id, seq, run_id, request_id, chunk, at)
select 's' || lpad(n::text, 7, '0'), k, 'r' || lpad(n::text, 7, '0') || '-1', 'q',
       '{{"type":"assistant_message","token":"a few words of an answer ","is_final":false}}', '{now}'
from generate_series(1, {sessions}) n, generate_series(1, {events}) k;
insert into messages (session_id, id, position, role, content, created_at)
select 's' || lpad(n::text, 7, '0'), 'm' || k, k, case when k % 2 = 1 then 'user' else 'assistant' end,
       'A message of a few words.', '{now}'
from generate_series(1, {sessions}) n, generate_series(1, 10) k;
insert into tool_calls (session_id, call_id, run_id, round, interrupt_id, kind, agent, tool_name, arguments, verdict,
                        digest, state, created_at, expires_at)
select 's' || lpad(n::text, 7, '0'), 'c' || k, 'r' || lpad(n::text, 7, '0') || '-3', 1, 'i', 'approval', 'coder',
       'write_file', '{{}}', '{{}}', '', case when k = 5 and n % 4 = 0 then 'pending' else 'done' end, '{now}',
       '{later}'
from generate_series(1, {sessions}) n, generate_series(1, 5) k;
insert into audit_log (session_id, at, event, actor, details)
select 's' || lpad(n::text, 7, '0'), '{now}', 'verdict', 'policy', '{{}}'
from generate_series(1, {sessions}) n, generate_series(1, 5) k;
insert into llm_calls (session_id, id, run_id, request_id, purpose, agent, model, outcome, started_at, duration_ms,
                       tool_calls, prompt_hash)
select 's' || lpad(n::text, 7, '0'), 'l' || n || '-' || k, 'r' || lpad(n::text, 7, '0') || '-1', 'q', 'agent', 'coder',
       'm', 'ok', '{now}', 100, 0, ''
from generate_series(1, {sessions}) n, generate_series(1, 3) k;
"""


def fill(connection: psycopg.Connection[Any], sessions: int, events: int, now: str, later: str) -> None:
    """Insert sessions of `/owner0`, `/owner1`, …, each with so many events.

    Every fourth waits for an approval, every tenth is deleted.

    Foreign keys are not checked while it loads: 10 million events would look up their session one by one.
    """
    connection.execute("set session_replication_role = replica")
    text = FILL.format(sessions=sessions, events=events, per_owner=SESSIONS_PER_OWNER, now=now, later=later)
    for statement in text.split(";\n"):
        if statement.strip():
            connection.execute(statement.encode())
    connection.execute("set session_replication_role = origin")
    connection.execute("vacuum analyze")
