-- name: switch_figures(owner)
-- How often one agent handed over to another.
select cast(details as json) ->> 'from_agent' as from_agent, cast(details as json) ->> 'to_agent' as to_agent,
       count(*) as switches
from audit_log
where event = 'agent_switched'
  and session_id in (select id from sessions where owner = :owner and deleted_at is null)
group by 1, 2 order by 1, 2;

-- name: error_figures(owner)
-- Which errors ended turns, by agent.
select coalesce(agent, 'runtime') as agent, cast(details as json) ->> 'code' as code,
       count(*) as errors
from audit_log
where event = 'error'
  and session_id in (select id from sessions where owner = :owner and deleted_at is null)
group by 1, 2 order by 1, 2;
