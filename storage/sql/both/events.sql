-- name: oldest_event(session_id)$
-- Where the log of a session begins.
select min(seq) from events where session_id = :session_id;

-- name: void_from(session_id, run_id, request_id, after)$
-- The first event of a run's request after a number: what a dead attempt showed and the next one says again.
select min(seq) from events
where session_id = :session_id and seq > :after and run_id = :run_id and request_id = :request_id;

-- name: events_of_run(session_id, run_id, request_id, after)
-- What a run has written of a request after a number.
select seq, request_id, chunk from events
where session_id = :session_id and seq > :after and run_id = :run_id and request_id = :request_id order by seq;

-- name: overlong_logs(keep)
-- Sessions whose log is longer than may be kept.
select id from sessions
where last_seq > :keep
  and exists (select 1 from events where session_id = sessions.id and seq <= sessions.last_seq - :keep) limit 100;

-- name: trim_log(session_id, keep)!
-- Forget the oldest events of a session.
delete from events
where session_id = :session_id and seq <= (select last_seq from sessions where id = :session_id) - :keep;
