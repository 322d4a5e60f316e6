-- name: insert_calls(rows)!
-- Calls as JSON rows; one that is there already stays as it is.
insert into tool_calls ({{tool_calls}}) select {{values of tool_calls}} from json_each(:rows) as r where true
on conflict do nothing;

-- name: move_calls(session_id, rows)!
-- Open calls as they stand now, as JSON rows.
update tool_calls
set state = r.value ->> 'state', decision = r.value ->> 'decision', decided_at = r.value ->> 'decided_at',
    decided_by = r.value ->> 'decided_by', edited_arguments = r.value ->> 'edited_arguments',
    feedback = r.value ->> 'feedback', remembered = r.value ->> 'remembered', result = r.value ->> 'result',
    error = r.value ->> 'error', ended_by = r.value ->> 'ended_by', undecided = r.value ->> 'undecided',
    settled_at = r.value ->> 'settled_at', executor = r.value ->> 'executor'
from json_each(:rows) as r
where tool_calls.session_id = :session_id and tool_calls.call_id = r.value ->> 'call_id'
  and tool_calls.state in ('pending', 'approved', 'edited', 'executing');

-- name: used_call_ids(session_id, ids)
-- Which of these ids the session has used.
select call_id from tool_calls
where session_id = :session_id and call_id in (select value from json_each(:ids));

-- name: insert_messages(session_id, rows, ahead)!
-- Messages as JSON rows, appended in order; one that is there already stays as it is. `position` is the place in `rows`,
-- `after_seq` the event after which they come: `ahead` events of the log follow them; null at the begin of the log.
insert into messages (session_id, after_seq, position, {{messages}})
select :session_id, nullif((select last_seq from sessions where id = :session_id) - :ahead, 0),
       coalesce((select max(position) from messages where session_id = :session_id), 0) + row_number() over (order by r.value ->> 'position'),
       {{values of messages}}
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

-- name: insert_rules(rows)!
-- Grants as JSON rows.
insert into session_rules (session_id, {{session_rules}})
select r.value ->> 'session_id', {{values of session_rules}} from json_each(:rows) as r;

-- name: insert_webhooks(rows)!
-- What the receiver is to be told, as JSON rows.
insert into webhooks ({{webhooks}}) select {{values of webhooks}} from json_each(:rows) as r;

-- name: move_plans(session_id, rows)!
-- How far plans have come, as JSON rows.
update plans set summary = r.value ->> 'summary', status = r.value ->> 'status', updated_at = r.value ->> 'updated_at'
from json_each(:rows) as r
where plans.session_id = :session_id and plans.plan_id = r.value ->> 'plan_id';
