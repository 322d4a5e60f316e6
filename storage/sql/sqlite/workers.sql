-- name: end_lease(worker)^
-- Hand every running run of this worker over to the next process.
update runs set lease_until = 0, worker = 0, retry_at = 0
where worker = :worker and status = 'running' returning id;

-- name: orphaned_runs(worker, namespace, lease_s, stale_s)
-- Running runs of earlier processes: one process at a time serves a file. (The other parameters are PostgreSQL's.)
select {{runs}}
from runs
where status = 'running' and worker <> :worker and :namespace is not null and :lease_s > :stale_s
  and (retry_at <= (julianday('now') - 2440587.5) * 86400.0 or cancel_requested = 1)
order by updated_at limit 100;
