-- name: number_events(session_id, run_id, attempt, count)^
-- Take the next numbers of the session; nothing comes back when the run was taken over.
update sessions set last_seq = last_seq + :count
where id = :session_id
  and (:run_id is null or exists (select 1 from runs where id = :run_id and attempt = :attempt and status = 'running'))
returning last_seq;

-- name: insert_events(session_id, first_seq, run_id, request_id, chunks, now)!
-- Append the chunks from that number on.
insert into events (session_id, seq, run_id, request_id, chunk, at)
select :session_id, :first_seq + c.key, :run_id, :request_id, c.value, :now from json_each(:chunks) as c;

-- name: add_events(session_id, first_seq, of_run, request_id, chunks, now)!
-- The same, as a part of a batch.
insert into events (session_id, seq, run_id, request_id, chunk, at)
select :session_id, :first_seq + c.key, :of_run, :request_id, c.value, :now from json_each(:chunks) as c;

-- name: number_batch(batch)
-- Number the chunks of many runs as they expect; a run that was taken over, or knows not all of the log, is left out.
update sessions set last_seq = last_seq + json_array_length(e.value, '$.chunks')
from json_each(:batch) as e
where sessions.id = e.value ->> 'session_id' and sessions.last_seq = e.value ->> 'after'
  and exists (select 1 from runs
              where id = e.value ->> 'run_id' and attempt = e.value ->> 'attempt' and status = 'running')
returning id as session_id,
          (select attempt from runs where session_id = sessions.id and status = 'running') as attempt;

-- name: insert_batch(batch, now)!
-- Append the chunks of the runs that were numbered.
insert into events (session_id, seq, run_id, request_id, chunk, at)
select e.value ->> 'session_id', (e.value ->> 'after') + 1 + c.key, e.value ->> 'run_id', e.value ->> 'request_id',
       c.value, :now
from json_each(:batch) as e, json_each(e.value, '$.chunks') as c;

-- name: read_events(session_id, after, limit, max_chars)
-- The log after a number: the first event, and those that end within so many characters; no text after them is read.
with recursive taken (seq, chars, place) as (
    select seq, length(chunk), 1 from events
    where session_id = :session_id
      and seq = (select min(seq) from events where session_id = :session_id and seq > :after)
    union all
    select events.seq, taken.chars + length(events.chunk), taken.place + 1
    from taken join events on events.session_id = :session_id and events.seq = taken.seq + 1
    where taken.chars < :max_chars and taken.place < :limit
)
select events.seq, request_id, chunk
from taken join events on events.session_id = :session_id and events.seq = taken.seq
where chars <= :max_chars or place = 1 order by events.seq;
