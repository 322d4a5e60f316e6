-- name: active_run(session_id)^
-- The run that is running or paused.
select {{runs}}
from runs where session_id = :session_id and status in ('running', 'paused')
order by case status when 'running' then 0 else 1 end limit 1;

-- name: find_run(run_id)^
-- One run.
select {{runs}}
from runs where id = :run_id;

-- name: running_runs_of(worker)
-- The running runs of a worker, each with whether its cancel was requested.
select id, cancel_requested from runs where worker = :worker and status = 'running';

-- name: note_reason(run_id, attempt, reason)!
-- Why an attempt failed; the next one may end well.
update runs set reason = :reason where id = :run_id and attempt = :attempt and status = 'running';

-- name: given_up_runs(owner, limit)
-- The runs that no attempt could finish, of one owner or with null of all, the newest first.
select r.id, r.session_id, s.owner, r.reason, r.tries, r.created_at, r.updated_at
from runs r join sessions s on s.id = r.session_id
where r.error = 'given_up' and (cast(:owner as text) is null or s.owner = :owner) order by r.updated_at desc limit :limit;

-- name: close_run_alone(run_id, attempt, status, error, now)$
-- End a run whose session cannot be written; nothing comes back when another worker has taken it.
update runs set status = :status, error = :error, updated_at = :now
where id = :run_id and attempt = :attempt and status = 'running' returning id;
