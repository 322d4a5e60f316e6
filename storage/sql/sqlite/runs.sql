-- name: start_run(run_id, session_id, request_id, input, worker, lease_s, protocol_version, now)$
-- The claim of a new run; nothing comes back while another one is running.
insert into runs (id, session_id, request_id, input, status, worker, lease_until, attempt, protocol_version,
                  created_at, updated_at)
values (:run_id, :session_id, :request_id, :input, 'running', :worker,
        (julianday('now') - 2440587.5) * 86400.0 + :lease_s, 1, :protocol_version, :now, :now)
on conflict do nothing returning id;

-- name: session_state(session_id)^
-- The run that is running or paused (its columns are null without one), how the newest run stands in the order in which
-- the database took them, and what the session remembers to allow as a JSON array, oldest first.
select {{runs}},
       (select status from runs newest where session_id = :session_id order by rowid desc limit 1) as last_status,
       (select json_group_array(rule) from (select rule from session_rules where session_id = :session_id order by created_at) remembered)
           as rules
from (select 1) always left join (
    select {{runs}} from runs where session_id = :session_id and status in ('running', 'paused')
    order by case status when 'running' then 0 else 1 end limit 1
) active on true;

-- name: resume_run(run_id, request_id, worker, lease_s, protocol_version, now)$
-- The claim of a paused run: its next attempt, or nothing when it is not paused any more.
update runs set status = 'running', request_id = :request_id, worker = :worker, attempt = attempt + 1,
       lease_until = (julianday('now') - 2440587.5) * 86400.0 + :lease_s,
       protocol_version = :protocol_version, cancel_requested = 0, tries = 0, retry_at = 0, reason = null,
       updated_at = :now
where id = :run_id and status = 'paused' returning attempt;

-- name: take_over_run(run_id, seen_attempt, worker, lease_s, pause_s, now)^
-- The claim of a run whose worker is gone: its next attempt, or nothing when another worker was first or the pause after
-- the last attempt is not over. A run that was handed over has failed no try.
update runs set worker = :worker, attempt = attempt + 1,
       tries = case when worker = 0 then tries else tries + 1 end,
       retry_at = case when worker = 0 then 0
                       else (julianday('now') - 2440587.5) * 86400.0 + :pause_s * (1 << tries) end,
       lease_until = (julianday('now') - 2440587.5) * 86400.0 + :lease_s, updated_at = :now
where id = :run_id and attempt = :seen_attempt and status = 'running'
  and (retry_at <= (julianday('now') - 2440587.5) * 86400.0 or cancel_requested = 1)
returning {{runs}};

-- name: release_run(run_id, attempt)^
-- Hand one running run over; nothing comes back when another worker has it.
update runs set lease_until = 0, worker = 0, retry_at = 0
where id = :run_id and attempt = :attempt and status = 'running' returning id;

-- name: request_cancel(run_id)^
-- Tell the worker of a run to stop it.
update runs set cancel_requested = 1 where id = :run_id and status = 'running' returning id;
