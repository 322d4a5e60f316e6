-- name: oldest_event(session_id)$
-- Where the log of a session begins.
select min(seq) from events where session_id = :session_id;

-- name: void_from(session_id, run_id, request_id)$
-- The first event after the last final one of this run's request: text that comes again starts there.
select min(seq) from events
where session_id = :session_id and run_id = :run_id and request_id = :request_id;
