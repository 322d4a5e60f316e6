-- name: find_session(session_id)^
-- One session, deleted ones too.
select {{sessions}},
       coalesce((select max(position) from messages where session_id = sessions.id), 0) as message_count
from sessions where id = :session_id;

-- name: create_session(session_id, owner, now)$
-- The id when it was free, nothing when it is taken.
insert into sessions (id, owner, created_at, last_activity) values (:session_id, :owner, :now, :now)
on conflict (id) do nothing returning id;

-- name: describe_session(session_id, title, description)!
-- Title and description as the client set them.
update sessions set title = :title, description = :description where id = :session_id;

-- name: list_sessions(owner, limit, offset, deleted)
-- The owner's sessions, or the deleted ones, newest activity first, with what they wait for. `case` keeps the indexes of
-- housekeeping out of the plan: they hold the sessions of all owners.
select s.id, s.title, s.last_activity, s.current_agent,
       coalesce((select max(position) from messages m where m.session_id = s.id), 0) as message_count,
       exists (select 1 from runs r where r.session_id = s.id and r.status = 'running') as is_running,
       (select min(case when c.kind = 'approval' and c.state = 'pending' then 1
                        when c.kind in ('question', 'switch', 'budget') then 2
                        when c.kind = 'plan_review' then 3 else 4 end)
        from tool_calls c
        where c.session_id = s.id and c.state in ('pending', 'approved', 'edited', 'executing')) as waits_for
from sessions s
where s.owner = :owner and case when s.deleted_at is null then 0 else 1 end = :deleted
order by s.last_activity desc, s.id
limit :limit offset :offset;

-- name: count_sessions(owner, deleted)$
-- How many sessions the owner has, or has deleted.
select count(*) from sessions where owner = :owner and case when deleted_at is null then 0 else 1 end = :deleted;

-- name: soft_delete_session(session_id, now, swept)!
-- Hide a session; `swept` is null for a deletion that was asked for.
update sessions set deleted_at = :now, swept_at = :swept where id = :session_id and deleted_at is null;

-- name: restore_session(session_id)$
-- Show a deleted session again; nothing comes back where it is not deleted.
update sessions set deleted_at = null, swept_at = null where id = :session_id and deleted_at is not null returning id;

-- name: hard_delete_session(session_id)!
-- Remove a session with all its rows.
delete from sessions where id = :session_id;

-- name: sweep_sessions(before, now)
-- Hide sessions idle since before, with no running run and no undecided approval; one that wakes up meanwhile stays.
-- Scalar subqueries are looked up for each session: no plan joins with all runs and calls.
update sessions set deleted_at = :now, swept_at = :now
where deleted_at is null and last_activity < :before
  and (select 1 from runs r where r.session_id = sessions.id and r.status = 'running' limit 1) is null
  and (select 1 from tool_calls c where c.session_id = sessions.id and c.state = 'pending' limit 1) is null
returning id;

-- name: purgeable_sessions(before)
-- Sessions deleted before that moment, to be removed for good.
select id from sessions where deleted_at < :before limit 100;
