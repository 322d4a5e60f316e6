-- Rows with a key of their own are looked up before they are inserted: "on conflict" would write a WAL record more for
-- each row. The lookup is a scalar subquery, so that no plan joins with the whole table.

-- name: insert_calls(rows)!
-- Calls as JSON rows; one that is there already stays as it is.
insert into tool_calls ({{tool_calls}})
select {{tool_calls}} from json_populate_recordset(cast(null as tool_calls), cast(:rows as json))
on conflict do nothing;

-- name: move_calls(session_id, rows)!
-- Open calls as they stand now, as JSON rows.
update tool_calls
set state = r.state, decision = r.decision, decided_at = r.decided_at, decided_by = r.decided_by,
    edited_arguments = r.edited_arguments, feedback = r.feedback, remembered = r.remembered, result = r.result,
    error = r.error, ended_by = r.ended_by, undecided = r.undecided, settled_at = r.settled_at, executor = r.executor
from json_populate_recordset(cast(null as tool_calls), cast(:rows as json)) as r
where tool_calls.session_id = :session_id and tool_calls.call_id = r.call_id
  and tool_calls.state in ('pending', 'approved', 'edited', 'executing');

-- name: used_call_ids(session_id, ids)
-- Which of these ids the session has used.
select call_id from tool_calls
where session_id = :session_id and call_id in (select json_array_elements_text(cast(:ids as json)));

-- name: insert_messages(session_id, rows, ahead)!
-- Messages as JSON rows, appended in order; one that is there already stays as it is. `position` is the place in `rows`,
-- `after_seq` the event after which they come: `ahead` events of the log follow them; null at the begin of the log.
insert into messages (session_id, after_seq, position, {{messages}})
select :session_id, nullif((select last_seq from sessions where id = :session_id) - :ahead, 0),
       coalesce((select max(position) from messages where session_id = :session_id), 0) + row_number() over (order by position),
       {{messages}}
from json_populate_recordset(cast(null as messages), cast(:rows as json)) as r
where not exists (select 1 from messages m where m.session_id = :session_id and m.id = r.id);

-- name: insert_audit(rows)!
-- Audit entries as JSON rows.
insert into audit_log (session_id, {{audit_log}})
select session_id, {{audit_log}} from json_populate_recordset(cast(null as audit_log), cast(:rows as json));

-- name: insert_llm_calls(rows)!
-- Model calls as JSON rows.
insert into llm_calls ({{llm_calls}})
select {{llm_calls}} from json_populate_recordset(cast(null as llm_calls), cast(:rows as json)) as r
where (select 1 from llm_calls c where c.session_id = r.session_id and c.id = r.id) is null;

-- name: insert_checkpoints(rows)!
-- Checkpoints of LangGraph's saver as JSON rows, as its UPSERT_CHECKPOINTS_SQL writes them.
insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
select thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata
from json_populate_recordset(cast(null as checkpoints), cast(:rows as json))
on conflict (thread_id, checkpoint_ns, checkpoint_id)
do update set checkpoint = excluded.checkpoint, metadata = excluded.metadata;

-- name: insert_checkpoint_blobs(rows)!
-- The values of channels as JSON rows, each in base64.
insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
select thread_id, checkpoint_ns, channel, version, type, decode(blob, 'base64')
from json_to_recordset(cast(:rows as json))
    as r (thread_id text, checkpoint_ns text, channel text, version text, type text, blob text)
where (select 1 from checkpoint_blobs b
       where b.thread_id = r.thread_id and b.checkpoint_ns = r.checkpoint_ns and b.channel = r.channel
         and b.version = r.version) is null;

-- name: insert_checkpoint_writes(rows)!
-- Writes of tasks as JSON rows, each in base64; one that is there already stays as it is.
insert into checkpoint_writes
       (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
select thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, decode(blob, 'base64')
from json_to_recordset(cast(:rows as json))
    as r (thread_id text, checkpoint_ns text, checkpoint_id text, task_id text, task_path text, idx integer,
          channel text, type text, blob text)
where (select 1 from checkpoint_writes w
       where w.thread_id = r.thread_id and w.checkpoint_ns = r.checkpoint_ns and w.checkpoint_id = r.checkpoint_id
         and w.task_id = r.task_id and w.idx = r.idx) is null;

-- name: put_checkpoint_writes(rows)!
-- The same for special channels, with an index below 0: a later one replaces what is there.
insert into checkpoint_writes
       (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
select thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, decode(blob, 'base64')
from json_to_recordset(cast(:rows as json))
    as r (thread_id text, checkpoint_ns text, checkpoint_id text, task_id text, task_path text, idx integer,
          channel text, type text, blob text)
on conflict (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
do update set channel = excluded.channel, type = excluded.type, blob = excluded.blob;

-- name: insert_rules(rows)!
-- Grants as JSON rows.
insert into session_rules (session_id, {{session_rules}})
select session_id, {{session_rules}} from json_populate_recordset(cast(null as session_rules), cast(:rows as json));

-- name: insert_webhooks(rows)!
-- What the receiver is to be told, as JSON rows.
insert into webhooks ({{webhooks}})
select {{webhooks}} from json_populate_recordset(cast(null as webhooks), cast(:rows as json));

-- name: move_plans(session_id, rows)!
-- How far plans have come, as JSON rows.
update plans set summary = r.summary, status = r.status, updated_at = r.updated_at
from json_populate_recordset(cast(null as plans), cast(:rows as json)) as r
where plans.session_id = :session_id and plans.plan_id = r.plan_id;
