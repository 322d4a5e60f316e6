-- name: find_call(session_id, call_id)^
-- One call.
select {{tool_calls}}
from tool_calls where session_id = :session_id and call_id = :call_id;

-- name: open_calls(session_id)
-- The calls that wait for a decision, a result or an answer, oldest first.
select {{tool_calls}}
from tool_calls where session_id = :session_id and state in ('pending', 'approved', 'edited', 'executing')
order by created_at, call_id;

-- name: calls_of_round(run_id)
-- All calls of the newest round of a run.
select {{tool_calls}}
from tool_calls where run_id = :run_id and interrupt_id is not null
  and round = (select max(round) from tool_calls where run_id = :run_id and interrupt_id is not null);

-- name: decide_call(session_id, call_id, state, decision, decided_by, edited_arguments, feedback, remembered, now)$
-- The one update that decides a race: nothing comes back when the call is not pending any more.
update tool_calls set state = :state, decision = :decision, decided_at = :now, decided_by = :decided_by,
       edited_arguments = :edited_arguments, feedback = :feedback, remembered = :remembered,
       settled_at = case when :state in ('approved', 'edited') then null else :now end
where session_id = :session_id and call_id = :call_id and state = 'pending' returning call_id;

-- name: record_result(session_id, call_id, state, result, error, now)$
-- The one update that accepts a result: nothing comes back when the call is not open any more.
update tool_calls set state = :state, result = :result, error = :error, settled_at = :now
where session_id = :session_id and call_id = :call_id and state in ('approved', 'edited', 'executing')
returning call_id;

-- name: record_implicit(session_id, call_id, state, decision, result, error, now)$
-- A result for a pending call: the client's user decided there (S6).
update tool_calls set state = :state, decision = :decision, decided_at = :now, decided_by = 'client',
       result = :result, error = :error, settled_at = :now
where session_id = :session_id and call_id = :call_id and state = 'pending' returning call_id;

-- name: end_open_calls(session_id, ended_by, pending_state, other_state, now)
-- Settle every open call without a result; what comes back was open.
update tool_calls set state = case when state = 'pending' then :pending_state else :other_state end,
       undecided = case when state = 'pending' then 1 else 0 end, ended_by = :ended_by, settled_at = :now
where session_id = :session_id and state in ('pending', 'approved', 'edited', 'executing')
returning call_id, tool_name, state, kind;

-- name: expire_calls(session_id, now)
-- Pending approvals and plans of a session whose time is over.
update tool_calls set state = 'expired', undecided = 1, ended_by = 'expiry', settled_at = :now
where session_id = :session_id and state = 'pending' and expires_at < :now
returning call_id, tool_name, kind;

-- name: sessions_with_expired_calls(now)
-- Where approvals have run out.
select distinct session_id from tool_calls where state = 'pending' and expires_at < :now limit 100;
