-- name: hold_session_if_free(session_id)$
-- The immediate transaction holds the whole database already.
select :session_id is not null;

-- name: lock_session(session_id)^
-- One session; the immediate transaction holds the whole database already.
select {{sessions}},
       coalesce((select max(position) from messages where session_id = sessions.id), 0) as message_count
from sessions where id = :session_id;

-- name: insert_session(session_id, owner, now, title, environment, agent, chosen_by, switches, count)$
-- A new session as it stands after the batch; nothing comes back when the id is taken.
insert into sessions (id, owner, created_at, last_activity, title, environment, current_agent, agent_chosen_by,
                      switch_count, last_switch_at, last_seq)
values (:session_id, :owner, :now, :now, :title, :environment, coalesce(:agent, 'orchestrator'),
        coalesce(:chosen_by, 'router'), :switches, case when :switches > 0 then :now end, :count)
on conflict (id) do nothing returning last_seq;

-- name: change_session(session_id, now, active_at, is_used, title, environment, agent, chosen_by, switches, count)$
-- What changes of the session. The first title stays; a null environment or agent keeps the one before.
update sessions set last_seq = last_seq + :count, last_activity = coalesce(:active_at, last_activity),
       swept_at = case when :is_used = 1 then null else swept_at end,
       deleted_at = case when :is_used = 1 then null else deleted_at end,
       title = coalesce(title, :title), environment = coalesce(:environment, environment),
       current_agent = coalesce(:agent, current_agent), agent_chosen_by = coalesce(:chosen_by, agent_chosen_by),
       switch_count = switch_count + :switches,
       last_switch_at = case when :switches > 0 then :now else last_switch_at end
where id = :session_id returning last_seq;

-- name: session_state(session_id, call_id, plan_id)^
-- One session and what is open in it: the run that is running or paused with the calls of the newest round of a paused
-- one, the newest run in the order in which the database took them, the rules that the session remembers, a call, and a
-- plan: the one that is named, else the one that waits or executes.
select {{sessions}}, null as seen,
       coalesce((select max(position) from messages where session_id = sessions.id), 0) as message_count,
       (select {{object of runs}} from runs where session_id = sessions.id and status in ('running', 'paused')
        order by case status when 'running' then 0 else 1 end limit 1) as run,
       (select json_object('id', id, 'attempt', attempt, 'status', status) from runs
        where session_id = sessions.id order by rowid desc limit 1) as newest,
       (select {{object of plans}} from plans
        where session_id = sessions.id
          and case when :plan_id is null then status in ('draft', 'executing') else plan_id = :plan_id end
        order by version desc limit 1) as plan,
       (select json_group_array(rule)
        from (select rule from session_rules where session_id = sessions.id order by created_at) remembered) as rules,
       (select json_group_array(json(call))
        from (select {{object of tool_calls}} as call from tool_calls
              where session_id = sessions.id and interrupt_id is not null
                and run_id = (select id from runs where session_id = sessions.id and status = 'paused')
                and round = (select max(round) from tool_calls c
                             where c.session_id = sessions.id and c.run_id = tool_calls.run_id
                               and c.interrupt_id is not null)
              order by created_at, call_id)) as round,
       (select {{object of tool_calls}} from tool_calls
        where session_id = sessions.id
          and call_id = case when :plan_id is null then :call_id
                             else (select call_id from plans where session_id = sessions.id and plan_id = :plan_id) end
       ) as named
from sessions where id = :session_id;
