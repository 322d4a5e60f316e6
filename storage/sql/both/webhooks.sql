-- name: due_webhooks(now, limit)
-- What is to be tried now.
select {{webhooks}} from webhooks where next_at <= :now order by next_at limit :limit;

-- name: claim_webhook(webhook_id, tries, later)!
-- One process alone takes a try.
update webhooks set tries = tries + 1, next_at = :later where id = :webhook_id and tries = :tries;

-- name: remove_webhook(webhook_id)!
-- Delivered, or given up.
delete from webhooks where id = :webhook_id;
