-- name: list_llm_calls(session_id)
-- The model calls of a session, oldest first.
select {{llm_calls}} from llm_calls where session_id = :session_id order by started_at, id;
