-- name: renew_lease(worker, lease_s)$
-- Keep the lease of a worker: one row, whatever its runs wait for. The time of the database comes back.
insert into workers (id, lease_until) values (:worker, extract(epoch from clock_timestamp()) + :lease_s)
on conflict (id) do update set lease_until = excluded.lease_until
returning cast(extract(epoch from clock_timestamp()) as double precision);

-- name: end_lease(worker)^
-- End the lease of a worker, and notify the others. A run whose row is locked goes with the lease alone.
with ended as (
    update workers set lease_until = 0 where id = :worker
), released as (
    update runs set lease_until = 0, worker = 0, retry_at = 0
    where id in (select id from runs where worker = :worker and status = 'running' for update skip locked)
)
select pg_notify('agent_runtime', 'orphans ' || current_setting('application_name'));

-- name: forget_workers(after_s)!
-- Remove workers whose lease ended that long ago and that no running run names.
delete from workers
where lease_until < extract(epoch from clock_timestamp()) - :after_s
  and not exists (select 1 from runs where runs.worker = workers.id and runs.status = 'running');

-- name: orphaned_runs(worker, namespace, lease_s, stale_s)
-- Running runs that no worker drives: handed over, or the lease of their worker is over, or it holds its advisory lock
-- no more and renews no lease either. A lock alone says little: a restart of the database takes every worker's lock.
-- A worker of an earlier version has no row of its own and renews `runs.lease_until`.
select {{runs}}
from (select runs.*, coalesce(workers.lease_until, runs.lease_until) as lease_end
      from runs left join workers on workers.id = runs.worker
      where runs.status = 'running' and runs.worker <> :worker) r
where (r.lease_end < extract(epoch from clock_timestamp())
       or (r.lease_end < extract(epoch from clock_timestamp()) + :lease_s - :stale_s
           and not exists (select 1 from pg_locks l
                           where l.locktype = 'advisory' and l.classid = cast(:namespace as oid) and l.objsubid = 2
                             and l.objid = cast(r.worker as oid)
                             and l.database = (select oid from pg_database where datname = current_database()))))
  and (r.lease_end = 0 or pg_postmaster_start_time() < clock_timestamp() - interval '3 seconds')
  and (r.retry_at <= extract(epoch from clock_timestamp()) or r.cancel_requested = 1)
order by r.updated_at
limit 100;
