-- DAGs, their versions, runs, task instances, attempts: the truth about what runs.

create table airlock.dag (
  tenant              text not null references airlock.tenant,
  dag_id              text not null check (length(dag_id) between 1 and 250),
  repository          text not null,
  path                text not null,                      -- of its file in the bundle
  state               text not null default 'active' check (state in ('active', 'retired')),
  is_paused           boolean not null default false,
  version             int not null,                       -- the live one
  commit              text not null,                      -- bundle that new runs use: the last commit at which its file was good
  environment         text not null,                      -- hash
  -- of the live spec, for lists and the scheduler
  display_name        text not null,
  description         text,
  tags                text[] not null default '{}',
  owners              text[] not null default '{}',
  level               text not null,
  timetable           jsonb not null,
  timetable_summary   text,
  max_active_runs     int not null,
  max_active_tasks    int not null,
  -- the next scheduled run; null: none
  next_logical_at     timestamptz,
  next_interval_start timestamptz,
  next_interval_end   timestamptz,
  next_run_at         timestamptz,
  -- its schedule is new (first deploy, other timetable, unpaused): the scheduler works out the next run
  plan_needed         boolean not null default true,
  last_parsed_at      timestamptz not null default clock_timestamp(),
  created_at          timestamptz not null default clock_timestamp(),
  primary key (tenant, dag_id)
);
create index dag_due on airlock.dag (next_run_at) where next_run_at is not null and state = 'active' and not is_paused;
create index dag_unplanned on airlock.dag (tenant, dag_id) where plan_needed;
create index dag_of_repository on airlock.dag (tenant, repository);
select airlock.fence_tenant('airlock.dag');

create table airlock.dag_version (
  tenant      text not null,
  dag_id      text not null,
  version     int not null,
  id          uuid not null default gen_random_uuid(),
  hash        text not null,                              -- of spec and input files
  spec        json not null,
  repository  text not null,
  path        text not null,
  commit      text not null,                              -- the first commit that had it
  created_at  timestamptz not null default clock_timestamp(),
  primary key (tenant, dag_id, version),
  foreign key (tenant, dag_id) references airlock.dag
);
create index dag_version_hash on airlock.dag_version (tenant, dag_id, hash);
select airlock.fence_tenant('airlock.dag_version');

create sequence airlock.run_key as bigint;
grant usage, select on sequence airlock.run_key to airlock_app, airlock_system;

create table airlock.dag_run (
  tenant          text not null references airlock.tenant,
  run             bigint not null default nextval('airlock.run_key'),
  dag_id          text not null,
  run_id          text not null check (length(run_id) between 1 and 250),
  run_type        text not null check (run_type in ('scheduled', 'manual', 'backfill', 'asset_triggered')),
  logical_date    timestamptz,
  interval_start  timestamptz,
  interval_end    timestamptz,
  run_after       timestamptz not null,
  state           text not null check (state in ('queued', 'running', 'success', 'failed')),
  version         int not null,
  repository      text not null,
  commit          text not null,
  path            text not null,
  environment     text not null,
  conf            json,
  has_instances   boolean not null default false,
  unfinished      int not null default 0,                 -- task instances not in a finished state
  failed_leaves   int not null default 0,                 -- what decides how it ends
  engine_format   smallint not null default 1,            -- which release's rules advance it
  queued_at       timestamptz not null default clock_timestamp(),
  started_at      timestamptz,
  ended_at        timestamptz,
  clear_number    int not null default 0,
  triggered_by    text not null default 'timetable',
  triggering_user text,
  note            text,
  reason          text,                                   -- why it failed, one sentence
  primary key (tenant, run),
  foreign key (tenant, dag_id) references airlock.dag
);
create unique index dag_run_id on airlock.dag_run (tenant, dag_id, run_id);
create unique index dag_run_logical on airlock.dag_run (tenant, dag_id, logical_date) where logical_date is not null;
create index dag_run_open on airlock.dag_run (tenant, dag_id, state, run_after) where state in ('queued', 'running');
create index dag_run_recent on airlock.dag_run (tenant, dag_id, run_after desc);
create index dag_run_commit on airlock.dag_run (tenant, repository, commit);
select airlock.fence_tenant('airlock.dag_run');

create table airlock.task_instance (
  tenant          text not null,
  run             bigint not null,
  task_id         text not null,
  map_index       int not null,
  id              uuid not null default gen_random_uuid(), -- of the current or next try, as Airflow's API shows it
  dag_id          text not null,
  state           text check (state in ('scheduled', 'queued', 'running', 'success', 'failed', 'skipped', 'upstream_failed',
                    'removed', 'up_for_retry', 'up_for_reschedule', 'deferred', 'restarting')),
  try_number      int not null default 0,
  max_tries       int not null default 0,
  pool            text not null,
  pool_slots      int not null,
  queue           text not null,
  priority_weight int not null,
  max_per_dag     int,                                    -- max_active_tis_per_dag
  max_per_run     int,                                    -- max_active_tis_per_dagrun
  operator        text not null,
  order_at        timestamptz not null,                   -- logical date of the run, for Airflow's queue order; infinity: it has none
  scheduled_at    timestamptz,
  queued_at       timestamptz,
  started_at      timestamptz,
  ended_at        timestamptz,
  first_reschedule_at timestamptz,                        -- sensors: start of this try across reschedules
  next_method     text,
  next_kwargs     json,
  rendered_map_index text,
  note            text,
  reason          text,
  -- instances of one run that the same limits bind: full or open as a whole (see airlock.admit)
  lane            text not null generated always as (
                    pool_slots || ' ' || case when max_per_dag is null and max_per_run is null then '' else task_id end || ' ' || pool) stored,
  primary key (tenant, run, task_id, map_index),
  foreign key (tenant, run) references airlock.dag_run on delete cascade
);
-- Admission's order within a lane; only what waits is in it.
create index task_instance_waiting on airlock.task_instance
  (tenant, run, lane, priority_weight desc, order_at, map_index, task_id collate "C") where state = 'scheduled';
create index task_instance_deferred on airlock.task_instance (tenant, pool) where state = 'deferred';
create index task_instance_open on airlock.task_instance (tenant, dag_id, task_id) where state in ('queued', 'running');
create unique index task_instance_id on airlock.task_instance (tenant, id);
select airlock.fence_tenant('airlock.task_instance');

-- How many upstream instances of a task are in which state, per mapped-group scope (-1: outside of any).
create table airlock.task_counter (
  tenant          text not null,
  run             bigint not null,
  task_id         text not null,
  scope           int not null,
  total           int not null,
  success         int not null,
  failed          int not null,
  upstream_failed int not null,
  skipped         int not null,
  removed         int not null,
  setups          int not null,
  setups_success  int not null,
  setups_skipped  int not null,
  primary key (tenant, run, task_id, scope),
  foreign key (tenant, run) references airlock.dag_run on delete cascade
);
select airlock.fence_tenant('airlock.task_counter');

-- What a branch or a short circuit decided: read at each evaluation, so that a cleared task skips again.
create table airlock.skip_decision (
  tenant    text not null,
  run       bigint not null,
  task_id   text not null,
  map_index int not null,
  skipped   text[] not null,
  primary key (tenant, run, task_id, map_index),
  foreign key (tenant, run) references airlock.dag_run on delete cascade
);
select airlock.fence_tenant('airlock.skip_decision');

-- `pushed`: length of what a task returned, where a downstream maps over it. `expanded`: how many indexes a
-- mapped task or group has by now.
create table airlock.mapped_length (
  tenant text not null,
  run    bigint not null,
  kind   text not null check (kind in ('pushed', 'expanded')),
  name   text not null,
  length int not null check (length >= 0),
  primary key (tenant, run, kind, name),
  foreign key (tenant, run) references airlock.dag_run on delete cascade
);
select airlock.fence_tenant('airlock.mapped_length');

create table airlock.attempt (
  tenant        text not null,
  attempt       uuid not null,
  run           bigint not null,
  dag_id        text not null,
  task_id       text not null,
  map_index     int not null,
  try_number    int not null,
  state         text not null check (state in ('admitted', 'running', 'ended')),
  fence         int not null default 0,                   -- rises with every claim
  worker        uuid,                                     -- incarnation that holds it
  lease_until   timestamptz,
  queue         text not null,
  crashes       int not null default 0,                   -- how many workers died under it
  admitted_at   timestamptz not null default clock_timestamp(),
  first_started_at timestamptz,                           -- of this try, across reschedules and deferrals
  started_at    timestamptz,
  ended_at      timestamptz,
  outcome       text,
  reason        text check (length(reason) <= 4000),
  exit_code     int,
  host          text,
  pid           int,
  cpu_s         real,
  peak_memory   bigint,
  start_ms      real,
  log_bytes     bigint not null default 0,
  log_object    text,                                     -- where the archived log lies
  stop_asked    text,                                     -- why it was asked to stop
  primary key (tenant, attempt),
  foreign key (tenant, run) references airlock.dag_run on delete cascade
);
create index attempt_of_task on airlock.attempt (tenant, run, task_id, map_index, try_number);
create index attempt_of_worker on airlock.attempt (worker) where state = 'running';
create index attempt_admitted on airlock.attempt (queue, tenant) where state = 'admitted';
create unique index attempt_open on airlock.attempt (tenant, run, task_id, map_index) where state in ('admitted', 'running');
select airlock.fence_tenant('airlock.attempt');

-- A place in every limit that binds an attempt. What is in use is the count of these rows.
create table airlock.permit (
  tenant  text not null,
  attempt uuid not null,
  run     bigint not null,
  dag_id  text not null,
  task_id text not null,
  pool    text not null,
  slots   int not null,
  queue   text not null,
  level   text not null,
  primary key (tenant, attempt),
  foreign key (tenant, attempt) references airlock.attempt on delete cascade
);
create index permit_of_run on airlock.permit (tenant, run);
select airlock.fence_tenant('airlock.permit');

create table airlock.pool (
  tenant           text not null references airlock.tenant,
  pool             text not null check (length(pool) between 1 and 256),
  slots            int not null check (slots >= -1),
  description      text,
  include_deferred boolean not null default false,
  primary key (tenant, pool)
);
select airlock.fence_tenant('airlock.pool');

-- What must happen at a time, by Postgres' clock. The door deletes the row under the run lock; no row: nothing happens.
create table airlock.timer (
  tenant    text not null,
  run       bigint not null,
  task_id   text not null,                                -- '' for the run itself
  map_index int not null,
  try_number int not null default 0,
  kind      text not null check (kind in ('retry', 'reschedule', 'run_timeout', 'deferral', 'past')),
  due_at    timestamptz not null,
  primary key (tenant, run, task_id, map_index, kind),
  foreign key (tenant, run) references airlock.dag_run on delete cascade
);
create index timer_due on airlock.timer (due_at);
select airlock.fence_tenant('airlock.timer');

create table airlock.xcom (
  tenant    text not null,
  run       bigint not null,
  task_id   text not null,
  map_index int not null,
  key       text not null check (length(key) between 1 and 512),
  value     json,                                         -- json, not jsonb: a tenant's \u0000 must survive
  object    text,                                         -- where a larger value lies
  bytes     int not null,
  at        timestamptz not null default clock_timestamp(),
  primary key (tenant, run, task_id, map_index, key),
  foreign key (tenant, run) references airlock.dag_run on delete cascade
);
select airlock.fence_tenant('airlock.xcom');

create table airlock.rendered_fields (
  tenant     text not null,
  run        bigint not null,
  task_id    text not null,
  map_index  int not null,
  try_number int not null,
  fields     json not null,
  primary key (tenant, run, task_id, map_index, try_number),
  foreign key (tenant, run) references airlock.dag_run on delete cascade
);
select airlock.fence_tenant('airlock.rendered_fields');

create table airlock.artifact (
  tenant       text not null,
  attempt      uuid not null,
  name         text not null check (length(name) between 1 and 400),
  bytes        bigint not null,
  content_type text not null,
  object       text not null,
  at           timestamptz not null default clock_timestamp(),
  primary key (tenant, attempt, name),
  foreign key (tenant, attempt) references airlock.attempt on delete cascade
);
select airlock.fence_tenant('airlock.artifact');

-- One row per flush of an attempt's log: lines of JSON [epoch ms, level, source, text].
create table airlock.log_chunk (
  tenant  text not null,
  attempt uuid not null,
  seq     int not null,
  at      timestamptz not null default clock_timestamp(),
  lines   int not null,
  text    text not null,
  primary key (tenant, attempt, seq)
);
select airlock.fence_tenant('airlock.log_chunk');

-- Every change of a run and its task instances, in order: the live feed, and the record that invariants are checked on.
-- A reader's cursor is pg_snapshot_xmin. Each change of a row waits for the one before it, so `seq` rises per
-- task instance and per run; a reader drops by `seq` what it has seen.
create table airlock.change (
  tenant      text not null,
  seq         bigint generated always as identity,
  xid         xid8 not null default pg_current_xact_id(),
  run         bigint not null,
  at          timestamptz not null default clock_timestamp(),
  dag_id      text not null,
  run_id      text not null,
  task_id     text not null,                              -- '' for the run itself
  map_index   int not null,
  try_number  int not null,
  from_state  text,
  to_state    text
);
create index change_cursor on airlock.change (xid);
create index change_of_run on airlock.change (tenant, run, seq);
select airlock.fence_tenant('airlock.change');

-- Workers that are or were alive. Each holds a session advisory lock on lock_key while it lives.
create table airlock.worker (
  worker      uuid primary key,
  lock_key    bigint generated always as identity unique,
  queue_pool  text,                                       -- its id inside the queue
  home        text not null,                              -- one process at a time holds a home: a new one there proves the old one dead
  host        text not null,
  pid         int not null,
  queues      text[] not null,
  slots       int not null,
  draining    boolean not null default false,
  -- it lost its lock session and lives: a free lock says nothing about it any more, its leases do
  lease_only  boolean not null default false,
  started_at  timestamptz not null default clock_timestamp(),
  beat_at     timestamptz not null default clock_timestamp()
);
-- No tenant: only the system role sees it.
alter table airlock.worker enable row level security;
alter table airlock.worker force row level security;
do $$ begin
  execute format('create policy system_only on airlock.worker to airlock_system, %I using (true) with check (true)', current_user);
end $$;

-- The doorbell: one call for a batch of jobs [{"t": tenant, "a": attempt, "q": queue, "p": priority}].
-- Runs as the owner, since the queue's tables let nobody else in; a tenant rings for itself alone. Job key = attempt, so a second ring replaces the first.
create function airlock.ring(jobs json) returns int language sql security definer set search_path = pg_catalog, airlock as $$
  select count(*)::int from graphile_worker.add_jobs((
    select array_agg((
        'run:' || (j ->> 'q'), json_build_object('t', j ->> 't', 'a', j ->> 'a'), null, null, 25::smallint,
        'a:' || (j ->> 'a'), (j ->> 'p')::smallint, null)::graphile_worker.job_spec)
      from json_array_elements(jobs) j
     where airlock.current_tenant() is null or j ->> 't' = airlock.current_tenant()))
$$;
revoke execute on function airlock.ring(json) from public;
grant execute on function airlock.ring(json) to airlock_app, airlock_system;

-- A dead pool's jobs: those whose attempt was never claimed ring again, then the rows it had locked go. The order
-- matters: adding the key of a locked job makes a fresh row and leaves the old one without key and tries, so that
-- a zombie's completion can only ever delete the old one.
create function airlock.release_pool(pool text) returns int language plpgsql security definer set search_path = pg_catalog, airlock as $$
declare
  old bigint[];
  again json;
begin
  select array_agg(id) into old from graphile_worker.jobs where locked_by = pool;
  if old is null then return 0; end if;
  select json_agg(json_build_object('t', a.tenant, 'a', a.attempt, 'q', a.queue, 'p', 0)) into again
    from graphile_worker.jobs j join airlock.attempt a on j.key = 'a:' || a.attempt
   where j.id = any (old) and a.state = 'admitted';
  if again is not null then perform airlock.ring(again); end if;
  perform graphile_worker.force_unlock_workers(array[pool]);
  perform graphile_worker.complete_jobs(old);
  return cardinality(old);
end $$;
revoke execute on function airlock.release_pool(text) from public;
grant execute on function airlock.release_pool(text) to airlock_system;

-- Jobs that a pool nobody knows holds: its process, or the runner inside it, is gone. Nobody else would free them
-- for four hours.
create function airlock.release_strays(older interval) returns int
  language sql security definer set search_path = pg_catalog, airlock as $$
  select coalesce(sum(airlock.release_pool(j.locked_by)), 0)::int
    from (select distinct locked_by from graphile_worker.jobs
           where locked_by is not null and locked_at < clock_timestamp() - older) j
   where not exists (select from airlock.worker w where w.queue_pool = j.locked_by)
$$;
revoke execute on function airlock.release_strays(interval) from public;
grant execute on function airlock.release_strays(interval) to airlock_system;

-- Attempts that were admitted a while ago and have no job that would bring them to a worker.
create function airlock.forgotten(older interval) returns table (tenant text, attempt uuid, queue text)
  language sql stable security definer set search_path = pg_catalog, airlock as $$
  select a.tenant, a.attempt, a.queue from airlock.attempt a
   where a.state = 'admitted' and a.admitted_at < clock_timestamp() - older
     and not exists (select from graphile_worker.jobs j where j.key = 'a:' || a.attempt and j.attempts < j.max_attempts)
   limit 1000
$$;
revoke execute on function airlock.forgotten(interval) from public;
grant execute on function airlock.forgotten(interval) to airlock_system;
