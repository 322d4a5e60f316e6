-- name: insert_calls(rows)
-- Calls as JSON rows; the ids of those that were new come back.
insert into tool_calls ({{tool_calls}})
select {{tool_calls}} from json_populate_recordset(cast(null as tool_calls), cast(:rows as json))
on conflict do nothing returning call_id;

-- name: used_call_ids(session_id, ids)
-- Which of these ids the session has used.
select call_id from tool_calls
where session_id = :session_id and call_id in (select json_array_elements_text(cast(:ids as json)));

-- name: insert_messages(session_id, rows)!
-- Messages as JSON rows, appended in order; one that is there already stays as it is. `position` is the place in `rows`.
insert into messages (session_id, position, run_id, {{messages}})
select :session_id, coalesce((select max(position) from messages where session_id = :session_id), 0)
           + row_number() over (order by position), run_id, {{messages}}
from json_populate_recordset(cast(null as messages), cast(:rows as json)) as r
where not exists (select 1 from messages m where m.session_id = :session_id and m.id = r.id);

-- name: insert_audit(rows)!
-- Audit entries as JSON rows.
insert into audit_log (session_id, {{audit_log}})
select session_id, {{audit_log}} from json_populate_recordset(cast(null as audit_log), cast(:rows as json));

-- name: insert_llm_calls(rows)!
-- Model calls as JSON rows.
insert into llm_calls ({{llm_calls}})
select {{llm_calls}} from json_populate_recordset(cast(null as llm_calls), cast(:rows as json))
on conflict do nothing;
