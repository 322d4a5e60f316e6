-- name: import_session(session_id, owner, title, description, created_at, last_activity, deleted_at, current_agent, switch_count)$
-- A session of the original; nothing comes back when the id is taken.
insert into sessions (id, owner, title, description, created_at, last_activity, deleted_at, current_agent, switch_count)
values (:session_id, :owner, :title, :description, :created_at, :last_activity, :deleted_at, :current_agent,
        :switch_count)
on conflict (id) do nothing returning id;

-- name: import_run(run_id, session_id, input, status, now)!
-- The run that marks a session whose history came from elsewhere: ended, or paused at an approval.
insert into runs (id, session_id, request_id, input, status, worker, lease_until, attempt, protocol_version,
                  created_at, updated_at)
values (:run_id, :session_id, 'import', :input, :status, 0, 0, 1, 1, :now, :now);

-- name: import_plan(plan_id, session_id, version, summary, status, created_at, updated_at)!
-- A plan of the original with what became of it.
insert into plans (plan_id, session_id, version, call_id, summary, status, created_at, updated_at)
values (:plan_id, :session_id, :version, '', :summary, :status, :created_at, :updated_at)
on conflict (plan_id) do nothing;
