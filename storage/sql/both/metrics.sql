-- name: agent_figures(owner)
-- The model calls of each agent: count, duration, outcome.
select agent, count(*) as calls, sum(duration_ms) as total_ms,
       sum(case when outcome = 'failed' then 0 else 1 end) as succeeded,
       sum(case when outcome = 'failed' then 1 else 0 end) as failed
from llm_calls
where purpose = 'agent' and session_id in (select id from sessions where owner = :owner and deleted_at is null)
group by agent order by agent;

-- name: tool_figures(owner)
-- How often each tool was called, and how that ended.
select tool_name, count(*) as calls, sum(case when state = 'done' then 1 else 0 end) as done,
       sum(case when state = 'failed' then 1 else 0 end) as failed,
       sum(case when kind = 'approval' then 1 else 0 end) as asked
from tool_calls
where kind in ('approval', 'ide_call', 'local_call')
  and session_id in (select id from sessions where owner = :owner and deleted_at is null)
group by tool_name order by tool_name;

-- name: decision_figures(owner)
-- What people decided, by tool.
select tool_name, decision, count(*) as decisions from tool_calls
where kind = 'approval' and decision is not null
  and session_id in (select id from sessions where owner = :owner and deleted_at is null)
group by tool_name, decision order by tool_name, decision;

-- name: session_requests(owner, session_id)
-- The model calls of one session without the classifier's, oldest first.
select started_at, model, duration_ms, prompt_tokens, completion_tokens, total_tokens, tool_calls, outcome, error
from llm_calls
where purpose <> 'classifier'
  and session_id in (select id from sessions where id = :session_id and owner = :owner and deleted_at is null)
order by started_at, id;

-- name: sessions_with_model_calls(owner)
-- The sessions that have called a model.
select id from sessions s
where owner = :owner and deleted_at is null
  and exists (select 1 from llm_calls c where c.session_id = s.id and c.purpose <> 'classifier')
order by created_at, id;

-- name: audit_events(owner, session_id, event_type, limit)
-- The newest entries of what the original called its audit log, newest first.
select at, event_type, event_id, session_id, run_id, agent, call_id, tool_name, details, error from (
    select at, case event when 'error' then 'agent_error' when 'agent_switched' then 'agent_switched'
               else 'hitl_decision_made' end as event_type,
           'audit-' || cast(id as text) as event_id, session_id, run_id, agent, call_id, tool_name, details,
           null as error, id as place
    from audit_log where event in ('agent_switched', 'approval_decided', 'approval_implicit', 'error')
    union all
    select settled_at, 'tool_execution_failed', 'failed-' || session_id || '-' || call_id, session_id, run_id, agent,
           call_id, tool_name, '{}', error, 0
    from tool_calls where state = 'failed' and error is not null
    union all
    select created_at, 'tool_approval_required', 'approval-' || session_id || '-' || call_id, session_id, run_id,
           agent, call_id, tool_name, '{}', null, 0
    from tool_calls where kind = 'approval'
) as entries
where session_id in (select id from sessions where owner = :owner and deleted_at is null)
  and (cast(:session_id as text) is null or session_id = :session_id)
  and (cast(:event_type as text) is null or event_type = :event_type)
order by at desc, place desc, event_id desc limit :limit;

-- name: published_figures(owner)^
-- How many events were logged, and when the last one was.
select coalesce(sum(last_seq), 0) as published,
       (select max(e.at) from events e join sessions s on e.session_id = s.id and e.seq = s.last_seq
        where s.owner = :owner and s.deleted_at is null) as last_at
from sessions where owner = :owner and deleted_at is null;

-- name: run_figures(owner)^
-- The ended runs of an owner: succeeded and failed.
select coalesce(sum(case when status in ('completed', 'paused', 'cancelled') then 1 else 0 end), 0) as succeeded,
       coalesce(sum(case when status = 'failed' then 1 else 0 end), 0) as failed
from runs where session_id in (select id from sessions where owner = :owner and deleted_at is null);

-- name: all_sessions()^
-- The number of sessions: visible ones and deleted ones.
select coalesce(sum(case when deleted_at is null then 1 else 0 end), 0) as visible,
       coalesce(sum(case when deleted_at is null then 0 else 1 end), 0) as deleted
from sessions;

-- name: all_runs()
-- The number of runs by its status.
select status, count(*) as runs from runs group by status order by status;

-- name: all_calls()
-- The number of calls by tool and state.
select tool_name, state, count(*) as calls from tool_calls where kind <> 'budget' group by tool_name, state order by tool_name, state;

-- name: all_llm_calls()
-- The number of model calls by agent, model, purpose and outcome.
select agent, model, purpose, outcome, count(*) as calls, sum(duration_ms) as total_ms,
       coalesce(sum(prompt_tokens), 0) as prompt_tokens, coalesce(sum(completion_tokens), 0) as completion_tokens
from llm_calls group by agent, model, purpose, outcome order by agent, model, purpose, outcome;
