-- name: hold_session_if_free(session_id)$
-- Hold a session without waiting for it; false while another transaction holds it, true also when it is gone.
with held as (select id from sessions where id = :session_id for update skip locked)
select exists (select 1 from held) or not exists (select 1 from sessions where id = :session_id);

-- name: lock_session(session_id)^
-- One session, held until the transaction ends: all decisions about it queue here.
select {{sessions}},
       coalesce((select max(position) from messages where session_id = sessions.id), 0) as message_count
from sessions where id = :session_id for update;

-- name: session_state(session_id, call_id, plan_id)^
-- One session and what is open in it, as of one moment: the run that is running or paused with the calls of its newest
-- round, the newest run in the order in which the database took them, the rules that the session remembers, a call, and
-- a plan: the one that is named, else the one that waits or executes. `seen` is the version of the session's row.
select session.*,
       coalesce((select max(position) from messages where session_id = session.id), 0) as message_count,
       cast(to_json(active) as text) as run, cast(to_json(newest) as text) as newest,
       cast(to_json(plan) as text) as plan,
       (select cast(json_agg(rule) as text)
        from (select rule from session_rules where session_id = session.id order by created_at) remembered) as rules,
       (select cast(json_agg(calls) as text)
        from (select {{tool_calls}} from tool_calls
              where session_id = session.id and run_id = active.id and active.status = 'paused'
                and interrupt_id is not null
                and round = (select max(round) from tool_calls
                             where session_id = session.id and run_id = active.id and interrupt_id is not null)
              order by created_at, call_id) calls) as round,
       (select cast(to_json(calls) as text)
        from (select {{tool_calls}} from tool_calls
              where session_id = session.id
                and call_id = case when cast(:plan_id as text) is null then :call_id else plan.call_id end) calls) as named
from (select {{sessions}}, cast(xmin as text) as seen from sessions where id = :session_id) session
left join lateral (
    select {{runs}} from runs where session_id = session.id and status in ('running', 'paused')
    order by case status when 'running' then 0 else 1 end limit 1
) active on true
left join lateral (
    select id, attempt, status from runs where session_id = session.id order by number desc limit 1
) newest on true
left join lateral (
    select {{plans}} from plans
    where session_id = session.id
      and case when cast(:plan_id as text) is null then status in ('draft', 'executing') else plan_id = :plan_id end
    order by version desc limit 1
) plan on true;

-- name: delete_thread(session_id)!
-- Remove what LangGraph's saver keeps of a session.
with states as (delete from checkpoints where thread_id = :session_id),
     blobs as (delete from checkpoint_blobs where thread_id = :session_id)
delete from checkpoint_writes where thread_id = :session_id;
