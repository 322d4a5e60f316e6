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

-- name: read_events(session_id, after, limit)
-- The log after a number.
select seq, request_id, chunk from events where session_id = :session_id and seq > :after order by seq limit :limit;
