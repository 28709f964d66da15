-- The audit log as a chain per tenant. Whoever writes a row takes no lock for it: one sealer chains, once a second,
-- what every transaction that could still come before has decided about.

alter table airlock.audit add column xid xid8 not null default pg_current_xact_id();
create index audit_by_xid on airlock.audit (xid);

create table airlock.audit_chain (
  tenant    text not null,
  place     bigint not null check (place > 0),
  audit     uuid not null unique,
  -- sha256(the hash before, the row's id, its mac)
  hash      bytea not null,
  sealed_at timestamptz not null default clock_timestamp(),
  primary key (tenant, place)
);
select airlock.fence_tenant('airlock.audit_chain');
create trigger audit_chain_append_only before update or delete on airlock.audit_chain
  for each row execute function airlock.refuse_change();
create trigger audit_chain_no_truncate before truncate on airlock.audit_chain
  for each statement execute function airlock.refuse_change();
revoke update, delete, truncate on airlock.audit_chain from airlock_app, airlock_system;

-- Rows below this transaction are chained. Its lock makes one sealer of many.
create table airlock.audit_seal (
  only_row boolean primary key default true check (only_row),
  below    xid8 not null
);
insert into airlock.audit_seal (below) values ('0');
alter table airlock.audit_seal enable row level security;
alter table airlock.audit_seal force row level security;
create policy system_only on airlock.audit_seal to airlock_system using (true) with check (true);
