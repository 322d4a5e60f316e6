-- The parts of one statement, put together by `storage.session_state`: `held`, `ran` and `head` take effect in this order or not
-- at all, and every row that is written reads `head`. The session is locked before the run, as everywhere.

-- name: hold_session(session_id, seen)
-- The session, locked; nothing when it is gone or has changed since its row was `seen`.
held as (
    select id from sessions
    where id = :session_id and (cast(:seen as text) is null or cast(xmin as text) = :seen) for update
);

-- name: insert_session(session_id, owner, now, title, environment, agent, chosen_by, switches, count)
-- A new session as it stands after the batch; nothing when the id is taken.
held as (
    insert into sessions (id, owner, created_at, last_activity, title, environment, current_agent, agent_chosen_by,
                          switch_count, last_switch_at, last_seq)
    values (:session_id, :owner, :now, :now, :title, :environment, coalesce(:agent, 'orchestrator'),
            coalesce(:chosen_by, 'router'), :switches, case when cast(:switches as integer) > 0 then :now end, :count)
    on conflict (id) do nothing returning id
);

-- name: keep_run()
-- No run is changed.
ran as (select id from held);

-- name: start_run(run_id, session_id, request_id, input, worker, lease_s, protocol_version, now)
-- The claim of a new run; nothing while another one is running.
ran as (
    insert into runs (id, session_id, request_id, input, status, worker, lease_until, attempt, protocol_version,
                      created_at, updated_at)
    select :run_id, :session_id, :request_id, :input, 'running', :worker,
           extract(epoch from clock_timestamp()) + :lease_s, 1, :protocol_version, :now, :now
    from held on conflict do nothing returning id
);

-- name: resume_run(run_id, request_id, worker, attempt, lease_s, protocol_version, now)
-- The claim of a paused run; nothing when it is not paused any more.
ran as (
    update runs set status = 'running', request_id = :request_id, worker = :worker, attempt = :attempt,
           lease_until = extract(epoch from clock_timestamp()) + :lease_s,
           protocol_version = :protocol_version, cancel_requested = 0, tries = 0, retry_at = 0, reason = null,
           updated_at = :now
    where id = :run_id and status = 'paused' and attempt = :attempt - 1 and exists (select 1 from held) returning id
);

-- name: close_run(run_id, attempt, status, error, now)
-- End or pause a run; nothing when another worker has taken it.
ran as (
    update runs set status = :status, error = :error, updated_at = :now
    where id = :run_id and attempt = :attempt and status = 'running' and exists (select 1 from held) returning id
);

-- name: release_run(run_id, attempt)
-- Hand one running run over; nothing when another worker has it.
ran as (
    update runs set lease_until = 0, worker = 0, retry_at = 0
    where id = :run_id and attempt = :attempt and status = 'running' and exists (select 1 from held) returning id
);

-- name: end_paused_run(session_id, ends_as, now)
-- End the paused run of a session without driving it on.
ended as (
    update runs set status = :ends_as, updated_at = :now
    where session_id = :session_id and status = 'paused' and exists (select 1 from held)
);

-- name: change_session(session_id, now, active_at, is_used, title, environment, agent, chosen_by, switches, count)
-- What changes of the session. The first title stays; a null environment or agent keeps the one before.
head as (
    update sessions set last_seq = last_seq + :count, last_activity = coalesce(:active_at, last_activity),
           swept_at = case when :is_used = 1 then null else swept_at end,
           deleted_at = case when :is_used = 1 then null else deleted_at end,
           title = coalesce(title, :title), environment = coalesce(:environment, environment),
           current_agent = coalesce(:agent, current_agent), agent_chosen_by = coalesce(:chosen_by, agent_chosen_by),
           switch_count = switch_count + :switches,
           last_switch_at = case when :switches > 0 then :now else last_switch_at end
    where id = :session_id and exists (select 1 from held) and exists (select 1 from ran)
    returning last_seq
);

-- name: begin_log(count)
-- The end of the log of a new session.
head as (select cast(:count as bigint) as last_seq from held where exists (select 1 from ran));

-- name: add_events(session_id, of_run, request_id, count, chunks, now)
-- The events at the end of the log.
added as (
    insert into events (session_id, seq, run_id, request_id, chunk, at)
    select :session_id, head.last_seq - :count + c.ordinality, :of_run, :request_id, c.value, :now
    from head, json_array_elements_text(cast(:chunks as json)) with ordinality as c (value, ordinality)
);

-- name: told_end()
-- Where the log of the session ends now.
select last_seq from head;

-- name: told_events(session_id)
-- The same, and a notification of its new events.
select last_seq, pg_notify('agent_runtime',
                           'events ' || current_setting('application_name') || ' ' || cast(:session_id as text) || ' ' || last_seq)
from head;
