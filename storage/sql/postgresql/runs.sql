-- name: take_over_run(run_id, seen_attempt, worker, lease_s, pause_s, now)^
-- The claim of a run whose worker is gone: its next attempt, or nothing when another worker was first or the pause after
-- the last attempt is not over. A locked run is left for the next round: it delays no other. A run that was handed over
-- has failed no try. (`worker` on the right is that of the last attempt.)
update runs set worker = :worker, attempt = attempt + 1,
       tries = case when worker = 0 then tries else tries + 1 end,
       retry_at = case when worker = 0 then 0 else extract(epoch from clock_timestamp()) + :pause_s * power(2, tries) end,
       lease_until = extract(epoch from clock_timestamp()) + :lease_s, updated_at = :now
where id = (select id from runs
            where id = :run_id and attempt = :seen_attempt and status = 'running'
              and (retry_at <= extract(epoch from clock_timestamp()) or cancel_requested = 1)
            for update skip locked)
returning {{runs}};

-- name: request_cancel(run_id)^
-- Tell the worker of a run to stop it, by a notification.
with asked as (update runs set cancel_requested = 1 where id = :run_id and status = 'running' returning id)
select id, pg_notify('agent_runtime', 'cancel ' || current_setting('application_name') || ' ' || id) from asked;

-- name: notify_orphans()$
-- Tell the other workers that a run was handed over.
select pg_notify('agent_runtime', 'orphans ' || current_setting('application_name'));
