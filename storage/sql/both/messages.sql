-- name: list_messages(session_id)
-- The whole history, oldest first.
select id, role, content, name, tool_call_id, tool_calls, created_at, position
from messages where session_id = :session_id order by position;

-- name: count_messages(session_id)$
-- How long the history is.
select count(*) from messages where session_id = :session_id;
