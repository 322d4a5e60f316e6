-- name: list_messages(session_id)
-- The whole history, oldest first.
select {{messages}}
from messages where session_id = :session_id order by position;

-- name: page_of_messages(session_id, limit, offset)
-- A part of the history with where each message lies in the log, oldest first.
select position, after_seq, {{messages}}
from messages where session_id = :session_id order by position limit :limit offset :offset;

-- name: count_messages(session_id)$
-- How long the history is.
select count(*) from messages where session_id = :session_id;
