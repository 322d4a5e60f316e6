-- name: lock_session(session_id)^
-- One session, held until the transaction ends: all decisions about it queue here.
select {{sessions}},
       coalesce((select max(position) from messages where session_id = sessions.id), 0) as message_count
from sessions where id = :session_id for update;

-- name: hold_session_if_free(session_id)$
-- Hold a session without waiting for it; false while another transaction holds it, true also when it is gone.
with held as (select id from sessions where id = :session_id for update skip locked)
select exists (select 1 from held) or not exists (select 1 from sessions where id = :session_id);
