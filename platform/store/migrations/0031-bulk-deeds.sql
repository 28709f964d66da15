-- One deed on many runs: waits a few seconds in which it can be taken back, then is done run by run.

create table airlock.bulk_deed (
  tenant       text not null references airlock.tenant,
  id           uuid not null,                             -- made by who asks: sent twice, it is there once
  actor        text not null,                             -- casbin subject
  -- what the asker's token narrowed, at the time: rights are asked anew for each run, but never more than these
  only_tenant  text,
  scopes       json,
  ip           text,
  deed         text not null check (deed in ('clear', 'clear_failed', 'mark_success', 'mark_failed', 'stop', 'delete')),
  latest       boolean not null default false,            -- a clear moves the run to the newest version
  state        text not null default 'waiting' check (state in ('waiting', 'running', 'done', 'taken_back')),
  total        int not null check (total between 1 and 10000),
  created_at   timestamptz not null default clock_timestamp(),
  due_at       timestamptz not null,
  started_at   timestamptz,
  ended_at     timestamptz,
  lease_owner  uuid,                                      -- the server that does it
  lease_until  timestamptz,
  primary key (tenant, id)
);
create index bulk_deed_open on airlock.bulk_deed (due_at) where state in ('waiting', 'running');
create index bulk_deed_recent on airlock.bulk_deed (tenant, actor, created_at desc);
select airlock.fence_tenant('airlock.bulk_deed');

-- The runs, as they were when the deed was asked for. No key to the run: a deed may remove it.
create table airlock.bulk_deed_run (
  tenant  text not null,
  id      uuid not null,
  n       int not null,
  run     bigint not null,
  dag_id  text not null,
  run_id  text not null,
  state   text not null default 'waiting' check (state in ('waiting', 'done', 'failed')),
  reason  text check (length(reason) <= 1000),
  primary key (tenant, id, n),
  foreign key (tenant, id) references airlock.bulk_deed on delete cascade
);
create index bulk_deed_run_state on airlock.bulk_deed_run (tenant, id, state);
select airlock.fence_tenant('airlock.bulk_deed_run');

-- The list of all runs of a tenant, newest first.
create index dag_run_newest on airlock.dag_run (tenant, run_after desc, run desc);
