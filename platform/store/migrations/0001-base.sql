-- Roles and tenants.
--
-- airlock_app     what a tenant's request or attempt may touch; row-level security binds it to one tenant
-- airlock_system  what crosses tenants: schedulers, sweepers, sign-in. Named queries only.
-- The user that runs this file owns everything and runs no queries.

do $$
begin
  perform pg_advisory_xact_lock(4716273646); -- roles belong to the whole server: two databases may migrate at once
  if not exists (select from pg_roles where rolname = 'airlock_app') then
    create role airlock_app nologin nosuperuser nobypassrls;
  end if;
  if not exists (select from pg_roles where rolname = 'airlock_system') then
    create role airlock_system nologin nosuperuser nobypassrls;
  end if;
  execute format('grant airlock_app, airlock_system to %I', current_user);
end $$;

grant usage on schema airlock to airlock_app, airlock_system;
alter default privileges in schema airlock grant select, insert, update, delete on tables to airlock_app, airlock_system;
alter default privileges in schema airlock grant usage, select on sequences to airlock_app, airlock_system;

-- The tenant of this transaction. Unset means no rows, never all rows.
create function airlock.current_tenant() returns text language sql stable parallel safe
  return nullif(current_setting('airlock.tenant', true), '');

-- One call per tenant table: forced row-level security, keyed by the column `tenant`.
create function airlock.fence_tenant(target regclass) returns void language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format(
    'create policy tenant_only on %s to airlock_app using (tenant = airlock.current_tenant()) with check (tenant = airlock.current_tenant())',
    target);
  -- the owner as well: functions that run as the owner look across, whether or not it is a superuser
  execute format('create policy across_tenants on %s to airlock_system, %I using (true) with check (true)', target, current_user);
end $$;

-- A guarded write counts what it touched inside the statement, since COMMIT is on its way already when the
-- client could look. Any other count voids the whole transaction.
create function airlock.expect(wanted int, touched bigint) returns void language plpgsql as $$
begin
  if wanted <> touched then
    raise exception 'expected % rows, found %: moved meanwhile', wanted, touched using errcode = 'ALM01';
  end if;
end $$;

create table airlock.tenant (
  tenant         text primary key check (tenant ~ '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
  display_name   text not null default '' check (length(display_name) <= 200),
  state          text not null default 'active' check (state in ('active', 'suspended')),
  -- uid on the host that this tenant's processes get where root can give one; never used twice
  uid            int generated always as identity (start with 61001 minvalue 61001 maxvalue 65000000) unique,
  max_running    int not null default 64 check (max_running between 1 and 100000),
  weight         int not null default 1 check (weight between 1 and 100),
  -- maxima that airlock.yaml may narrow; keys as in tenants/registry
  limits         jsonb not null default '{}',
  -- [{"host": "db.example.org", "port": 5432}]
  egress         jsonb not null default '[]',
  -- what repositories of this tenant may be fetched from beyond public https and ssh hosts
  allow_sources  jsonb not null default '[]',
  -- raised by every change of a right in this tenant: compiled grants are kept by it
  policy_version bigint not null default 1,
  created_at     timestamptz not null default clock_timestamp()
);
select airlock.fence_tenant('airlock.tenant');
