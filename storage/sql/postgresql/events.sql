-- name: append_events(session_id, run_id, attempt, request_id, count, chunks, now, sync)^
-- Number the chunks and append them; nothing comes back when the run was taken over. `sync` off: no wait for the disk.
-- The session is locked before the run, as everywhere: the other order would deadlock with a claim or a cancel.
with held as (
    select id from sessions where id = :session_id for update
), fence as (
    select 1 from held, runs
    where runs.id = :run_id and runs.attempt = :attempt and runs.status = 'running' for share of runs
), numbered as (
    update sessions set last_seq = last_seq + :count
    where id = :session_id and exists (select 1 from held)
      and (cast(:run_id as text) is null or exists (select 1 from fence))
    returning last_seq
), added as (
    insert into events (session_id, seq, run_id, request_id, chunk, at)
    select :session_id, numbered.last_seq - :count + c.ordinality, :run_id, :request_id, c.value, :now
    from numbered, json_array_elements_text(cast(:chunks as json)) with ordinality as c (value, ordinality)
)
select last_seq, set_config('synchronous_commit', :sync, true),
       pg_notify('agent_runtime',
                 'events ' || current_setting('application_name') || ' ' || cast(:session_id as text) || ' ' || last_seq)
from numbered;

-- name: read_events(session_id, after, limit)
-- The log after a number.
select seq, request_id, chunk from events where session_id = :session_id and seq > :after order by seq limit :limit;
