-- name: insert_calls(rows)
-- Calls as JSON rows; the ids of those that were new come back.
insert into tool_calls (session_id, call_id, run_id, round, interrupt_id, kind, agent, tool_name, arguments, verdict,
                        digest, state, result, created_at, expires_at, settled_at)
select r.value ->> 'session_id', r.value ->> 'call_id', r.value ->> 'run_id', r.value ->> 'round',
       r.value ->> 'interrupt_id', r.value ->> 'kind', r.value ->> 'agent', r.value ->> 'tool_name',
       r.value ->> 'arguments', r.value ->> 'verdict', r.value ->> 'digest', r.value ->> 'state',
       r.value ->> 'result', r.value ->> 'created_at', r.value ->> 'expires_at', r.value ->> 'settled_at'
from json_each(:rows) as r where true
on conflict do nothing returning call_id;

-- name: used_call_ids(session_id, ids)
-- Which of these ids the session has used.
select call_id from tool_calls
where session_id = :session_id and call_id in (select value from json_each(:ids));

-- name: insert_messages(session_id, rows)!
-- Messages as JSON rows, appended in order; one that is there already stays as it is.
insert into messages (session_id, id, position, run_id, role, content, name, tool_call_id, tool_calls, created_at)
select :session_id, r.value ->> 'id',
       coalesce((select max(position) from messages where session_id = :session_id), 0)
           + row_number() over (order by r.value ->> 'n'),
       r.value ->> 'run_id', r.value ->> 'role', r.value ->> 'content', r.value ->> 'name',
       r.value ->> 'tool_call_id', r.value ->> 'tool_calls', r.value ->> 'created_at'
from json_each(:rows) as r
where not exists (select 1 from messages m where m.session_id = :session_id and m.id = r.value ->> 'id');

-- name: insert_audit(rows)!
-- Audit entries as JSON rows.
insert into audit_log (session_id, at, event, actor, run_id, agent, call_id, tool_name, details)
select r.value ->> 'session_id', r.value ->> 'at', r.value ->> 'event', r.value ->> 'actor',
       r.value ->> 'run_id', r.value ->> 'agent', r.value ->> 'call_id', r.value ->> 'tool_name',
       r.value ->> 'details'
from json_each(:rows) as r;

-- name: insert_llm_calls(rows)!
-- Model calls as JSON rows.
insert into llm_calls (id, session_id, run_id, request_id, agent, purpose, model, started_at, duration_ms,
                       prompt_tokens, completion_tokens, total_tokens, tool_calls, prompt_hash, outcome, error)
select r.value ->> 'id', r.value ->> 'session_id', r.value ->> 'run_id', r.value ->> 'request_id',
       r.value ->> 'agent', r.value ->> 'purpose', r.value ->> 'model', r.value ->> 'started_at',
       r.value ->> 'duration_ms', r.value ->> 'prompt_tokens', r.value ->> 'completion_tokens', r.value ->> 'total_tokens',
       r.value ->> 'tool_calls', r.value ->> 'prompt_hash', r.value ->> 'outcome', r.value ->> 'error'
from json_each(:rows) as r where true
on conflict do nothing;
