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

-- name: append_batch(batch, now)
-- Append the chunks of many runs at the numbers that they expect; a locked session is left out, so that none waits.
-- The payload of a notification has at most 8,000 bytes: 80 sessions are told in one.
-- PostgreSQL knows nothing of the rows of a JSON text: `lateral` and `any` let it find each session and run by its key,
-- never by a join with all of them.
with entry as (
    select * from json_to_recordset(cast(:batch as json))
        as e (session_id text, run_id text, attempt integer, request_id text, after bigint, chunks json)
), held as (
    select e.* from entry e cross join lateral (
        select 1 from sessions where id = e.session_id and last_seq = e.after for update skip locked
    ) as session
), fenced as (
    select held.* from held cross join lateral (
        select 1 from runs where id = held.run_id and attempt = held.attempt and status = 'running'
        for share skip locked
    ) as run
), numbered as (
    update sessions
    set last_seq = (select after + json_array_length(chunks) from fenced where session_id = sessions.id)
    where id = any (array(select session_id from fenced))
    returning id, last_seq
), added as (
    insert into events (session_id, seq, run_id, request_id, chunk, at)
    select fenced.session_id, fenced.after + c.ordinality, fenced.run_id, fenced.request_id, c.value, :now
    from numbered join fenced on fenced.session_id = numbered.id
    cross join lateral json_array_elements_text(fenced.chunks) with ordinality as c (value, ordinality)
), told as (
    select string_agg(id || ' ' || last_seq, ' ') as sessions
    from (select id, last_seq, (row_number() over () - 1) / 80 as part from numbered) as numbers group by part
)
select fenced.session_id, fenced.attempt,
       (select set_config('synchronous_commit', 'off', true)),
       (select count(pg_notify('agent_runtime',
                               'events ' || current_setting('application_name') || ' ' || told.sessions)) from told)
from numbered join fenced on fenced.session_id = numbered.id;

-- name: read_events(session_id, after, limit, max_chars)
-- The log after a number: the first event, and those that end within so many characters.
-- octet_length is never less and, unlike length, reads no large text.
select seq, request_id, chunk
from (select seq, request_id, chunk, sum(octet_length(chunk)) over (order by seq) as chars,
             row_number() over (order by seq) as place
      from (select seq, request_id, chunk from events
            where session_id = :session_id and seq > :after order by seq limit :limit) as next_events) as weighed
where chars <= :max_chars or place = 1 order by seq;
