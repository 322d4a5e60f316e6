-- name: insert_calls(rows)
-- Calls as JSON rows; the ids of those that were new come back.
insert into tool_calls ({{tool_calls}}) select {{values of tool_calls}} from json_each(:rows) as r where true
on conflict do nothing returning call_id;

-- name: move_calls(session_id, rows)
-- Open calls as they stand now, as JSON rows; the ids of those that were open come back.
update tool_calls
set state = r.value ->> 'state', decision = r.value ->> 'decision', decided_at = r.value ->> 'decided_at',
    decided_by = r.value ->> 'decided_by', edited_arguments = r.value ->> 'edited_arguments',
    feedback = r.value ->> 'feedback', remembered = r.value ->> 'remembered', result = r.value ->> 'result',
    error = r.value ->> 'error', ended_by = r.value ->> 'ended_by', undecided = r.value ->> 'undecided',
    settled_at = r.value ->> 'settled_at', executor = r.value ->> 'executor'
from json_each(:rows) as r
where tool_calls.session_id = :session_id and tool_calls.call_id = r.value ->> 'call_id'
  and tool_calls.state in ('pending', 'approved', 'edited', 'executing')
returning call_id;

-- name: used_call_ids(session_id, ids)
-- Which of these ids the session has used.
select call_id from tool_calls
where session_id = :session_id and call_id in (select value from json_each(:ids));

-- name: insert_messages(session_id, rows)!
-- Messages as JSON rows, appended in order; one that is there already stays as it is. `position` is the place in `rows`,
-- `after_seq` the newest event of the session, null where its log is empty.
insert into messages (session_id, after_seq, position, {{messages}})
select :session_id, (select nullif(last_seq, 0) from sessions where id = :session_id), coalesce((select max(position) from messages where session_id = :session_id), 0)
           + row_number() over (order by r.value ->> 'position'), {{values of messages}}
from json_each(:rows) as r
where not exists (select 1 from messages m where m.session_id = :session_id and m.id = r.value ->> 'id');

-- name: insert_audit(rows)!
-- Audit entries as JSON rows.
insert into audit_log (session_id, {{audit_log}})
select r.value ->> 'session_id', {{values of audit_log}} from json_each(:rows) as r;

-- name: insert_llm_calls(rows)!
-- Model calls as JSON rows.
insert into llm_calls ({{llm_calls}}) select {{values of llm_calls}} from json_each(:rows) as r where true
on conflict do nothing;
