-- name: add_login(principal, end_user, token_hash, key_hash, expires_at)!
-- Remember a login of the console.
insert into console_logins ({{console_logins}})
values (:token_hash, :key_hash, :principal, :end_user, :expires_at);

-- name: find_login(token_hash, now)^
-- A login that has not run out.
select {{console_logins}} from console_logins where token_hash = :token_hash and expires_at > :now;

-- name: remove_login(token_hash)!
-- Log out here.
delete from console_logins where token_hash = :token_hash;

-- name: remove_logins(principal, end_user)!
-- Log out everywhere.
delete from console_logins where principal = :principal and end_user = :end_user;

-- name: remove_expired_logins(now)!
-- Forget what has run out.
delete from console_logins where expires_at <= :now;
