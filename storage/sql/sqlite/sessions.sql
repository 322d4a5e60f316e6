-- name: lock_session(session_id)^
-- One session; the immediate transaction holds the whole database already.
select {{sessions}},
       coalesce((select max(position) from messages where session_id = sessions.id), 0) as message_count
from sessions where id = :session_id;

-- name: hold_session_if_free(session_id)$
-- The immediate transaction holds the whole database already.
select :session_id is not null;
