CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
create table sessions (
    id text primary key,
    owner text not null,
    title text,
    description text,
    created_at text not null,
    last_activity text not null,
    deleted_at text,
    swept_at text,
    current_agent text not null default 'orchestrator',
    agent_chosen_by text not null default 'router',
    switch_count integer not null default 0,
    last_switch_at text,
    environment text,
    last_seq bigint not null default 0
);
create index sessions_by_activity on sessions (owner, last_activity);
create table runs (
    id text primary key,
    session_id text not null references sessions (id) on delete cascade,
    request_id text not null,
    input text not null,
    status text not null check (status in ('running', 'paused', 'completed', 'failed', 'cancelled')),
    worker bigint not null,
    lease_until double precision not null,
    attempt integer not null,
    protocol_version integer not null,
    cancel_requested integer not null default 0,
    error text,
    created_at text not null,
    updated_at text not null
);
create unique index one_running_run on runs (session_id) where status = 'running';
create unique index one_paused_run on runs (session_id) where status = 'paused';
create index runs_by_session on runs (session_id, created_at);
create table events (
    session_id text not null references sessions (id) on delete cascade,
    seq bigint not null,
    run_id text,
    request_id text not null,
    chunk text not null,
    at text not null,
    primary key (session_id, seq)
);
create table tool_calls (
    session_id text not null references sessions (id) on delete cascade,
    call_id text not null,
    run_id text not null,
    round integer not null,
    interrupt_id text,
    kind text not null check (kind in ('approval', 'ide_call', 'local_call', 'question', 'switch', 'plan_review')),
    agent text not null,
    tool_name text not null,
    arguments text not null,
    verdict text not null,
    digest text not null,
    state text not null check (state in ('pending', 'approved', 'edited', 'rejected', 'expired', 'superseded',
                                         'cancelled', 'executing', 'done', 'failed')),
    decision text,
    decided_at text,
    decided_by text,
    edited_arguments text,
    feedback text,
    remembered integer not null default 0,
    result text,
    error text,
    ended_by text,
    undecided integer not null default 0,
    created_at text not null,
    expires_at text,
    settled_at text,
    primary key (session_id, call_id)
);
create index open_tool_calls on tool_calls (session_id)
    where state in ('pending', 'approved', 'edited', 'executing');
create table messages (
    session_id text not null references sessions (id) on delete cascade,
    id text not null,
    position integer not null,
    run_id text,
    role text not null,
    content text not null,
    name text,
    tool_call_id text,
    tool_calls text,
    created_at text not null,
    primary key (session_id, id)
);
create unique index messages_in_order on messages (session_id, position);
create table plans (
    plan_id text primary key,
    session_id text not null references sessions (id) on delete cascade,
    version integer not null,
    call_id text not null,
    summary text not null,
    status text not null,
    replaces text,
    created_at text not null,
    updated_at text not null
);
create index plans_by_session on plans (session_id, version);
create table session_rules (
    id text primary key,
    session_id text not null references sessions (id) on delete cascade,
    tool_name text not null,
    label text not null,
    rule text not null,
    call_id text not null,
    created_at text not null
);
create index session_rules_by_session on session_rules (session_id, created_at);
create table audit_log (
    id bigint generated always as identity primary key,
    session_id text not null references sessions (id) on delete cascade,
    at text not null,
    event text not null,
    actor text not null,
    run_id text,
    agent text,
    call_id text,
    tool_name text,
    details text not null
);
create index audit_by_session on audit_log (session_id, id);
create table llm_calls (
    id text primary key,
    session_id text not null references sessions (id) on delete cascade,
    run_id text not null,
    request_id text not null,
    agent text not null,
    purpose text not null,
    model text,
    started_at text not null,
    duration_ms integer not null,
    prompt_tokens integer,
    completion_tokens integer,
    total_tokens integer,
    tool_calls integer not null default 0,
    prompt_hash text not null,
    outcome text not null,
    error text
);
create index llm_calls_by_session on llm_calls (session_id, started_at);
alter table tool_calls add column plan_id text;
update tool_calls set plan_id = (select p.plan_id from plans p where p.session_id = tool_calls.session_id and p.call_id = tool_calls.call_id) where kind = 'plan_review';
update llm_calls set outcome = 'reprompted' where outcome = 'insisted';
create table workers (id bigint primary key, lease_until double precision not null);
alter table tool_calls add column part_of text;
alter table messages add column after_seq bigint;
update messages set after_seq = (select max(e.seq) from events e where e.session_id = messages.session_id and e.at <= messages.created_at);
alter table llm_calls add column message_id text;
alter table llm_calls add column tools_hash text;
alter table llm_calls add column retries integer not null default 0;
drop index runs_by_session;
alter table runs add column number bigint;
update runs set number = ordered.number from (select id, row_number() over (order by created_at, id) as number from runs) ordered where runs.id = ordered.id;
alter table runs alter column number set not null;
alter table runs alter column number add generated by default as identity;
select setval(pg_get_serial_sequence('runs', 'number'), coalesce(max(number), 0) + 1, false) from runs;
create index runs_by_session on runs (session_id, number);
create table console_logins (token_hash text primary key, key_hash text not null, principal text not null, end_user text not null, expires_at text not null);
create index console_logins_by_user on console_logins (principal, end_user);
alter table runs add column tries integer not null default 0;
alter table runs add column retry_at double precision not null default 0;
alter table runs add column reason text;
create index given_up_runs on runs (updated_at) where error = 'given_up';
create table webhooks (id text primary key, session_id text not null references sessions on delete cascade, event text not null, payload text not null, tries integer not null default 0, next_at text not null);
create index webhooks_by_next_at on webhooks (next_at);
create index webhooks_by_session on webhooks (session_id);
create index idle_sessions on sessions (last_activity) where deleted_at is null;
create index deleted_sessions on sessions (deleted_at) where deleted_at is not null;
alter table tool_calls add column executor text;
create table schema_compatibility (compatible_from text not null);
insert into schema_compatibility (compatible_from) values ('0001');
alter table llm_calls add column cached_tokens integer;
create table spending (scope text not null check (scope in ('turn', 'session', 'owner')), name text not null, day text not null, session_id text references sessions (id) on delete cascade, tokens bigint not null default 0, nano_usd bigint not null default 0, allowed_tokens bigint not null default 0, allowed_nano_usd bigint not null default 0, primary key (scope, name, day));
create index spending_by_session on spending (session_id);
alter table tool_calls drop constraint tool_calls_kind_check;
drop index if exists checkpoints_thread_id_idx;
drop index if exists checkpoint_blobs_thread_id_idx;
drop index if exists checkpoint_writes_thread_id_idx;
alter table sessions set (fillfactor = 80);
create index pending_approvals on tool_calls (expires_at) where state = 'pending';
alter table llm_calls drop constraint llm_calls_pkey, add primary key (session_id, id);
drop index llm_calls_by_session;
insert into alembic_version (version_num) values ('0018');
