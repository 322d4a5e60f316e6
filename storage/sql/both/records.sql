-- name: list_rules(session_id)
-- What was remembered for the session.
select {{session_rules}} from session_rules
where session_id = :session_id order by created_at, id;

-- name: remove_rule(session_id, rule_id)!
-- Revoke one grant.
delete from session_rules where session_id = :session_id and id = :rule_id;

-- name: remove_rules(session_id)!
-- Revoke all grants of the session.
delete from session_rules where session_id = :session_id;

-- name: list_audit(session_id, limit, offset)
-- The audit of a session, oldest first.
select id, {{audit_log}} from audit_log
where session_id = :session_id order by id limit :limit offset :offset;

-- name: count_audit(session_id)$
-- How long the audit of a session is.
select count(*) from audit_log where session_id = :session_id;

-- name: switches(session_id)
-- Every switch of agents, oldest first.
select at, details from audit_log where session_id = :session_id and event = 'agent_switched' order by id;
