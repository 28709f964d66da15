-- Repositories, what was deployed from them, and what their files hold.

create table airlock.repository (
  tenant          text not null references airlock.tenant,
  repository      text not null check (repository ~ '^[a-z0-9][a-z0-9._-]{0,99}$'),
  kind            text not null check (kind in ('hosted', 'external')),
  url             text check (length(url) <= 1000),          -- never with credentials
  branch          text not null check (length(branch) between 1 and 200),
  path            text not null default '' check (length(path) <= 400),
  credentials     bytea,                                     -- sealed
  webhook_secrets bytea,                                     -- sealed; two while one is being rotated
  head_commit     text,                                      -- what is live
  seen_commit     text,                                      -- the newest that was tried, live or not
  failures        int not null default 0,                    -- syncs in a row that could not reach or read the repository
  last_error      text,
  last_error_hint text,
  last_synced_at  timestamptz,
  last_change_at  timestamptz,                               -- when the head last moved: polling is quick for a while after it
  last_webhook_at timestamptz,
  next_poll_at    timestamptz not null default clock_timestamp(),
  -- Somebody wants a sync: pushes that come together are one. Cleared by the sync that began after it.
  wanted_at       timestamptz,
  wanted_reason   text check (wanted_reason in ('push', 'webhook', 'poll', 'asked', 'retry')),
  -- Two processes never sync one repository.
  lease_owner     uuid,
  lease_until     timestamptz,
  created_at      timestamptz not null default clock_timestamp(),
  primary key (tenant, repository),
  check ((kind = 'external') = (url is not null))
);
create index repository_wanted on airlock.repository (wanted_at) where wanted_at is not null;
create index repository_poll on airlock.repository (next_poll_at) where kind = 'external' or failures > 0;
select airlock.fence_tenant('airlock.repository');

create table airlock.deploy (
  tenant         text not null,
  repository     text not null,
  deploy         bigint generated always as identity,
  commit         text,                                       -- null: it never came to know one (the fetch failed)
  reason         text not null,
  state          text not null check (state in ('syncing', 'live', 'failed')),
  started_at     timestamptz not null default clock_timestamp(),
  ended_at       timestamptz,
  ms             int,
  dags_new       int not null default 0,
  dags_changed   int not null default 0,
  dags_unchanged int not null default 0,
  dags_removed   int not null default 0,
  -- [{"path", "line", "message", "hint"}]; at most 200, errors_count has the whole number
  errors         json not null default '[]',
  errors_count   int not null default 0,
  primary key (tenant, deploy),
  foreign key (tenant, repository) references airlock.repository on delete cascade
);
create index deploy_of_repository on airlock.deploy (tenant, repository, deploy desc);
create index deploy_open on airlock.deploy (tenant, repository) where state = 'syncing';
select airlock.fence_tenant('airlock.deploy');

-- What a checkout needs to be run from: the executor builds its guest's key from this and the DAG's spec.
create table airlock.bundle (
  tenant      text not null,
  repository  text not null,
  commit      text not null,
  path        text not null,                                 -- subdirectory of the repository that it is
  dags_folder text not null,
  limits      json not null,                                 -- the tenant's, narrowed by airlock.yaml
  packages    text[] not null default '{}',                  -- of the environment, that its files import
  -- {"python": {"hash", "dir", "interpreter"}, "node": …}; dir and interpreter are this home's, the hash is everywhere the same
  environments json not null default '{}',
  created_at  timestamptz not null default clock_timestamp(),
  primary key (tenant, repository, commit),
  foreign key (tenant, repository) references airlock.repository on delete cascade
);
select airlock.fence_tenant('airlock.bundle');

-- What the last parse of a file found: a file whose inputs did not change is not parsed again.
create table airlock.dag_file (
  tenant     text not null,
  repository text not null,
  path       text not null,
  set_hash   text not null,                                  -- of all that its parse depended on
  input_hash text not null,                                  -- of the repository files among it: part of a DAG version
  inputs     text[] not null,
  packages   text[] not null,
  dag_ids    text[] not null,
  good       boolean not null,                               -- false: parse again at the next change of anything
  primary key (tenant, repository, path),
  foreign key (tenant, repository) references airlock.repository on delete cascade
);
select airlock.fence_tenant('airlock.dag_file');

create table airlock.import_error (
  tenant       text not null,
  import_error bigint generated always as identity,          -- Airflow's import_error_id
  repository   text not null,
  path         text not null,
  commit       text not null,
  at           timestamptz not null default clock_timestamp(),
  message      text not null,
  line         int,
  hint         text,
  traceback    text,
  -- every problem of the file: [{"line", "column", "message", "hint"}]
  problems     json not null,
  primary key (tenant, import_error),
  unique (tenant, repository, path),
  foreign key (tenant, repository) references airlock.repository on delete cascade
);
select airlock.fence_tenant('airlock.import_error');

-- Deliveries of the last day: the same one twice asks for nothing.
create table airlock.webhook_delivery (
  tenant     text not null,
  repository text not null,
  delivery   text not null check (length(delivery) between 1 and 200),
  at         timestamptz not null default clock_timestamp(),
  primary key (tenant, repository, delivery),
  foreign key (tenant, repository) references airlock.repository on delete cascade
);
create index webhook_delivery_at on airlock.webhook_delivery (at);
select airlock.fence_tenant('airlock.webhook_delivery');
