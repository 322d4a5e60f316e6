-- name: add_spending(run_id, session_id, owner, day, tokens, nano_usd)!
-- What one model call cost, for its turn, its session and its owner.
insert into spending (scope, name, day, session_id, tokens, nano_usd)
values ('turn', :run_id, '', :session_id, :tokens, :nano_usd),
       ('session', :session_id, '', :session_id, :tokens, :nano_usd),
       ('owner', :owner, :day, null, :tokens, :nano_usd)
on conflict (scope, name, day) do update
set tokens = spending.tokens + excluded.tokens, nano_usd = spending.nano_usd + excluded.nano_usd;

-- name: spending_of(run_id, session_id, owner, since)
-- What a turn, its session and its owner have spent, and how far they were let go; of the owner since that day.
select scope, sum(tokens) as tokens, sum(nano_usd) as nano_usd,
       max(allowed_tokens) as allowed_tokens, max(allowed_nano_usd) as allowed_nano_usd
from spending
where (scope = 'turn' and name = :run_id) or (scope = 'session' and name = :session_id)
   or (scope = 'owner' and name = :owner and day >= :since)
group by scope;

-- name: allow_spending(scope, subject, day, session_id, tokens, nano_usd)!
-- The user lets a budget go so far; what was allowed before stays when it is more.
insert into spending (scope, name, day, session_id, allowed_tokens, allowed_nano_usd)
values (:scope, :subject, :day, :session_id, :tokens, :nano_usd)
on conflict (scope, name, day) do update
set allowed_tokens = case when excluded.allowed_tokens > spending.allowed_tokens
                          then excluded.allowed_tokens else spending.allowed_tokens end,
    allowed_nano_usd = case when excluded.allowed_nano_usd > spending.allowed_nano_usd
                            then excluded.allowed_nano_usd else spending.allowed_nano_usd end;

-- name: forget_spending(before)!
-- What owners spent before that day; turns and sessions go with their session.
delete from spending where scope = 'owner' and day < :before;
