-- name: lock_session(session_id)^
-- One session, held until the transaction ends: all decisions about it queue here.
select {{sessions}},
       coalesce((select max(position) from messages where session_id = sessions.id), 0) as message_count
from sessions where id = :session_id for update;
