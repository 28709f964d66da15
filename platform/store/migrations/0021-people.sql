-- People, what they signed in with, what they may do, what they did.

create table airlock.person (
  name         text collate "C" primary key check (name ~ '^[A-Za-z0-9_.@+-]{1,250}$'),
  display_name text not null default '' check (length(display_name) <= 250),
  email        text check (length(email) <= 320),
  -- argon2id; a migrated Airflow's Werkzeug hash until the first sign-in; null: cannot sign in with a password
  password     text check (length(password) <= 1000),
  state        text not null default 'active' check (state in ('active', 'disabled')),
  -- groups from the identity provider
  groups       json not null default '[]',
  created_at   timestamptz not null default clock_timestamp(),
  signed_in_at timestamptz
);

-- Only the hash of the id is here: who reads this table cannot become anybody.
create table airlock.session (
  hash       bytea primary key,
  person     text not null references airlock.person on delete cascade,
  created_at timestamptz not null default clock_timestamp(),
  seen_at    timestamptz not null default clock_timestamp(),
  -- absolute; idleness is counted from seen_at
  expires_at timestamptz not null,
  agent      text check (length(agent) <= 300)
);
create index session_of on airlock.session (person);
create index session_expiry on airlock.session (expires_at);

create table airlock.token (
  id           text primary key check (id ~ '^[A-Za-z0-9]{12}$'),
  -- api: made by a person, named; access: from /auth/token, short-lived
  kind         text not null check (kind in ('api', 'access')),
  hash         bytea not null,
  person       text not null references airlock.person on delete cascade,
  -- null: wherever its owner may
  tenant       text references airlock.tenant on delete cascade,
  -- deeds and bundles it is narrowed to; null: not narrowed
  scopes       json,
  name         text not null default '' check (length(name) <= 200),
  created_at   timestamptz not null default clock_timestamp(),
  expires_at   timestamptz,
  last_used_at timestamptz
);
create index token_of on airlock.token (person);
create index token_expiry on airlock.token (expires_at) where expires_at is not null;

do $$
declare target text;
begin
  foreach target in array array['person', 'session', 'token'] loop
    execute format('alter table airlock.%I enable row level security', target);
    execute format('alter table airlock.%I force row level security', target);
    execute format('create policy system_only on airlock.%I to airlock_system using (true) with check (true)', target);
  end loop;
end $$;

-- Rights. Tenant `*` is the platform: its rows count in every tenant, and only the system role sees them.
create table airlock.grant_rule (
  tenant     text not null,
  subject    text not null check (length(subject) <= 300),
  thing      text not null check (length(thing) <= 300),
  deed       text not null check (length(deed) <= 100),
  effect     text not null check (effect in ('allow', 'deny')),
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, subject, thing, deed, effect)
);
select airlock.fence_tenant('airlock.grant_rule');

create table airlock.role_assignment (
  tenant     text not null,
  subject    text not null check (length(subject) <= 300),
  role       text not null check (length(role) <= 300),
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, subject, role)
);
create index role_assignment_of on airlock.role_assignment (subject);
select airlock.fence_tenant('airlock.role_assignment');

-- One row: the version of the platform's own rules.
create table airlock.platform_policy (
  only_row boolean primary key default true check (only_row),
  version  bigint not null default 1
);
insert into airlock.platform_policy default values;
alter table airlock.platform_policy enable row level security;
alter table airlock.platform_policy force row level security;
create policy system_only on airlock.platform_policy to airlock_system using (true) with check (true);

-- A changed right raises the version by which every process keeps its compiled rules, in the same transaction.
create function airlock.bump_policy() returns trigger language plpgsql as $$
declare changed text := coalesce(new.tenant, old.tenant);
begin
  if changed = '*' then
    update airlock.platform_policy set version = version + 1;
  else
    update airlock.tenant set policy_version = policy_version + 1 where tenant = changed;
  end if;
  perform pg_notify('airlock_policy', changed);
  return null;
end $$;
create trigger grant_rule_bumps after insert or update or delete on airlock.grant_rule
  for each row execute function airlock.bump_policy();
create trigger role_assignment_bumps after insert or update or delete on airlock.role_assignment
  for each row execute function airlock.bump_policy();

-- A deleted tenant's name may be used again one day: its rights must not wait for the next owner.
create function airlock.drop_rights() returns trigger language plpgsql as $$
begin
  delete from airlock.grant_rule where tenant = old.tenant;
  delete from airlock.role_assignment where tenant = old.tenant;
  return null;
end $$;
create trigger tenant_drops_rights after delete on airlock.tenant
  for each row execute function airlock.drop_rights();

-- Who did what. Rows are only ever added; `mac` is an HMAC under a key that is not in this database.
create table airlock.audit (
  id      uuid primary key,
  seq     bigint generated always as identity unique,
  tenant  text not null,
  at      timestamptz not null,
  actor   text not null check (length(actor) <= 300),
  ip      text check (length(ip) <= 100),
  deed    text not null check (length(deed) <= 100),
  thing   text not null check (length(thing) <= 600),
  outcome text not null check (outcome in ('done', 'refused', 'failed')),
  -- before and after, without secrets
  detail  json not null default '{}',
  mac     bytea not null
);
create index audit_of_tenant on airlock.audit (tenant, seq desc);
select airlock.fence_tenant('airlock.audit');

create function airlock.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger audit_append_only before update or delete on airlock.audit
  for each row execute function airlock.refuse_change();
create trigger audit_no_truncate before truncate on airlock.audit
  for each statement execute function airlock.refuse_change();
revoke update, delete, truncate on airlock.audit from airlock_app, airlock_system;
