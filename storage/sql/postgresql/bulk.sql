-- name: insert_calls(rows)
-- Calls as JSON rows; the ids of those that were new come back.
insert into tool_calls (session_id, call_id, run_id, round, interrupt_id, kind, agent, tool_name, arguments, verdict,
                        digest, state, result, created_at, expires_at, settled_at)
select session_id, call_id, run_id, round, interrupt_id, kind, agent, tool_name, arguments, verdict, digest, state,
       result, created_at, expires_at, settled_at
from json_to_recordset(cast(:rows as json)) as r (session_id text, call_id text, run_id text, round integer,
    interrupt_id text, kind text, agent text, tool_name text, arguments text, verdict text, digest text, state text,
    result text, created_at text, expires_at text, settled_at text)
on conflict do nothing returning call_id;

-- name: used_call_ids(session_id, ids)
-- Which of these ids the session has used.
select call_id from tool_calls
where session_id = :session_id and call_id in (select json_array_elements_text(cast(:ids as json)));

-- name: insert_messages(session_id, rows)!
-- Messages as JSON rows, appended in order; one that is there already stays as it is.
insert into messages (session_id, id, position, run_id, role, content, name, tool_call_id, tool_calls, created_at)
select :session_id, r.id, coalesce((select max(position) from messages where session_id = :session_id), 0)
           + row_number() over (order by r.n),
       r.run_id, r.role, r.content, r.name, r.tool_call_id, r.tool_calls, r.created_at
from json_to_recordset(cast(:rows as json)) as r (n integer, id text, run_id text, role text, content text, name text,
    tool_call_id text, tool_calls text, created_at text)
where not exists (select 1 from messages m where m.session_id = :session_id and m.id = r.id);

-- name: insert_audit(rows)!
-- Audit entries as JSON rows.
insert into audit_log (session_id, at, event, actor, run_id, agent, call_id, tool_name, details)
select session_id, at, event, actor, run_id, agent, call_id, tool_name, details
from json_to_recordset(cast(:rows as json)) as r (session_id text, at text, event text, actor text, run_id text,
    agent text, call_id text, tool_name text, details text);

-- name: insert_llm_calls(rows)!
-- Model calls as JSON rows.
insert into llm_calls (id, session_id, run_id, request_id, agent, purpose, model, started_at, duration_ms,
                       prompt_tokens, completion_tokens, total_tokens, tool_calls, prompt_hash, outcome, error)
select id, session_id, run_id, request_id, agent, purpose, model, started_at, duration_ms, prompt_tokens,
       completion_tokens, total_tokens, tool_calls, prompt_hash, outcome, error
from json_to_recordset(cast(:rows as json)) as r (id text, session_id text, run_id text, request_id text, agent text,
    purpose text, model text, started_at text, duration_ms integer, prompt_tokens integer, completion_tokens integer,
    total_tokens integer, tool_calls integer, prompt_hash text, outcome text, error text)
on conflict do nothing;
