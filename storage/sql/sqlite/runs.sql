-- name: start_run(run_id, session_id, request_id, input, worker, lease_s, protocol_version, now)$
-- The claim of a new run; nothing comes back while another one is running.
insert into runs (id, session_id, request_id, input, status, worker, lease_until, attempt, protocol_version,
                  created_at, updated_at)
values (:run_id, :session_id, :request_id, :input, 'running', :worker,
        (julianday('now') - 2440587.5) * 86400.0 + :lease_s, 1, :protocol_version, :now, :now)
on conflict do nothing returning id;

-- name: resume_run(run_id, request_id, worker, attempt, lease_s, protocol_version, now)$
-- The claim of a paused run; nothing comes back when it is not paused any more.
update runs set status = 'running', request_id = :request_id, worker = :worker, attempt = :attempt,
       lease_until = (julianday('now') - 2440587.5) * 86400.0 + :lease_s,
       protocol_version = :protocol_version, cancel_requested = 0, tries = 0, retry_at = 0, reason = null,
       updated_at = :now
where id = :run_id and status = 'paused' and attempt = :attempt - 1 returning id;

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

-- name: release_run(run_id, attempt)$
-- Hand one running run over; nothing comes back when another worker has it.
update runs set lease_until = 0, worker = 0, retry_at = 0
where id = :run_id and attempt = :attempt and status = 'running' returning id;

-- name: request_cancel(run_id)^
-- Tell the worker of a run to stop it.
update runs set cancel_requested = 1 where id = :run_id and status = 'running' returning id;

-- name: close_run(run_id, attempt, status, error, now)$
-- End or pause a run; nothing comes back when another worker has taken it.
update runs set status = :status, error = :error, updated_at = :now
where id = :run_id and attempt = :attempt and status = 'running' returning id;

-- name: end_paused_run(session_id, ends_as, now)!
-- End the paused run of a session without driving it on.
update runs set status = :ends_as, updated_at = :now where session_id = :session_id and status = 'paused';

-- name: notify_orphans()$
-- One process serves the file: there is nobody to tell.
select 1;
