-- name: add_plan(plan_id, session_id, call_id, summary, replaces, now)!
-- A new version of the session's plan, once.
insert into plans (plan_id, session_id, version, call_id, summary, status, replaces, created_at, updated_at)
values (:plan_id, :session_id,
        (select coalesce(max(version), 0) + 1 from plans where session_id = :session_id),
        :call_id, :summary, 'draft', :replaces, :now, :now)
on conflict (plan_id) do nothing;

-- name: find_plan(session_id, plan_id)^
-- One plan.
select {{plans}} from plans
where session_id = :session_id and plan_id = :plan_id;

-- name: active_plan(session_id)^
-- The plan that waits for its decision or executes.
select {{plans}} from plans
where session_id = :session_id and status in ('draft', 'executing') order by version desc limit 1;

-- name: set_plan_status(plan_id, status, now)!
-- Move a plan on.
update plans set status = :status, updated_at = :now where plan_id = :plan_id;
