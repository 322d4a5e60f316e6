-- name: lock_session(session_id)^
-- One session; the immediate transaction holds the whole database already.
select id, owner, title, description, created_at, last_activity, deleted_at, swept_at, current_agent,
       agent_chosen_by, switch_count, last_switch_at, environment, last_seq,
       coalesce((select max(position) from messages where session_id = sessions.id), 0) as message_count
from sessions where id = :session_id;
