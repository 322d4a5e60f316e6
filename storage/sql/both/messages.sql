-- name: list_messages(session_id)
-- The whole history, oldest first.
select {{messages}}
from messages where session_id = :session_id order by position;

-- name: count_messages(session_id)$
-- How long the history is.
select count(*) from messages where session_id = :session_id;
