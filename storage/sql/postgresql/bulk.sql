-- name: insert_calls(rows)
-- Calls as JSON rows; the ids of those that were new come back.
insert into tool_calls ({{tool_calls}})
select {{tool_calls}} from json_populate_recordset(cast(null as tool_calls), cast(:rows as json))
on conflict do nothing returning call_id;

-- name: move_calls(session_id, rows)
-- Open calls as they stand now, as JSON rows; the ids of those that were open come back.
update tool_calls
set state = r.state, decision = r.decision, decided_at = r.decided_at, decided_by = r.decided_by,
    edited_arguments = r.edited_arguments, feedback = r.feedback, remembered = r.remembered, result = r.result,
    error = r.error, ended_by = r.ended_by, undecided = r.undecided, settled_at = r.settled_at, executor = r.executor
from json_populate_recordset(cast(null as tool_calls), cast(:rows as json)) as r
where tool_calls.session_id = :session_id and tool_calls.call_id = r.call_id
  and tool_calls.state in ('pending', 'approved', 'edited', 'executing')
returning tool_calls.call_id;

-- name: used_call_ids(session_id, ids)
-- Which of these ids the session has used.
select call_id from tool_calls
where session_id = :session_id and call_id in (select json_array_elements_text(cast(:ids as json)));

-- name: insert_messages(session_id, rows)!
-- Messages as JSON rows, appended in order; one that is there already stays as it is. `position` is the place in `rows`,
-- `after_seq` the newest event of the session, null where its log is empty.
insert into messages (session_id, after_seq, position, {{messages}})
select :session_id, (select nullif(last_seq, 0) from sessions where id = :session_id), coalesce((select max(position) from messages where session_id = :session_id), 0)
           + row_number() over (order by position), {{messages}}
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
