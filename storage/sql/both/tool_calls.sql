-- name: find_call(session_id, call_id)^
-- One call.
select {{tool_calls}}
from tool_calls where session_id = :session_id and call_id = :call_id;

-- name: open_calls(session_id)
-- The calls that wait for a decision, a result or an answer, oldest first.
select {{tool_calls}}
from tool_calls where session_id = :session_id and state in ('pending', 'approved', 'edited', 'executing')
order by created_at, call_id;

-- name: waiting_calls(owner, limit)
-- What waits for the owner in all of the owner's sessions, oldest first.
select {{tool_calls}}, (select title from sessions where id = tool_calls.session_id) as title
from tool_calls
where session_id in (select id from sessions where owner = :owner and deleted_at is null)
  and state in ('pending', 'approved', 'edited', 'executing')
  and (state = 'pending' or kind in ('question', 'switch', 'budget'))
order by created_at, session_id, call_id limit :limit;

-- name: owner_figure(owner)^
-- Two numbers that change whenever something of the owner's sessions does.
select coalesce(sum(last_seq), 0) as events, count(*) as sessions from sessions
where owner = :owner and deleted_at is null;

-- name: calls_of_round(session_id, run_id)
-- All calls of the newest round of a run; the session leads to them by the primary key.
select {{tool_calls}}
from tool_calls where session_id = :session_id and run_id = :run_id and interrupt_id is not null
  and round = (select max(round) from tool_calls
               where session_id = :session_id and run_id = :run_id and interrupt_id is not null)
order by created_at, call_id;

-- name: sessions_with_expired_calls(now)
-- Where approvals have run out.
select distinct session_id from tool_calls where state = 'pending' and expires_at < :now limit 100;

-- name: done_calls(session_id)
-- What the client has carried out, newest first.
select call_id, tool_name, arguments, edited_arguments
from tool_calls where session_id = :session_id and state = 'done' and kind in ('approval', 'ide_call')
order by settled_at desc, call_id desc;
