-- What a tenant's tasks use: connections, variables, and the keys that seal them.

-- Data keys, wrapped by a platform key that is not in this database.
create table airlock.tenant_key (
  tenant       text not null references airlock.tenant on delete cascade,
  version      int not null check (version > 0),
  platform_key text not null,
  wrapped      bytea not null,
  created_at   timestamptz not null default clock_timestamp(),
  primary key (tenant, version)
);
create index tenant_key_wrapping on airlock.tenant_key (platform_key);
select airlock.fence_tenant('airlock.tenant_key');

create table airlock.connection (
  tenant      text not null references airlock.tenant on delete cascade,
  conn_id     text collate "C" not null check (length(conn_id) between 1 and 250),
  conn_type   text not null check (length(conn_type) between 1 and 500),
  description text check (length(description) <= 5000),
  host        text check (length(host) <= 500),
  schema      text check (length(schema) <= 500),
  login       text check (length(login) <= 5000),
  port        int check (port between 0 and 65535),
  -- {"password", "extra"}, sealed for (tenant, connection, conn_id); null: neither
  sealed      bytea check (length(sealed) <= 1048576),
  created_at  timestamptz not null default clock_timestamp(),
  updated_at  timestamptz not null default clock_timestamp(),
  primary key (tenant, conn_id)
);
select airlock.fence_tenant('airlock.connection');

create table airlock.variable (
  tenant      text not null references airlock.tenant on delete cascade,
  key         text collate "C" not null check (length(key) between 1 and 250),
  sealed      bytea not null check (length(sealed) <= 1048576),
  description text check (length(description) <= 5000),
  created_at  timestamptz not null default clock_timestamp(),
  updated_at  timestamptz not null default clock_timestamp(),
  primary key (tenant, key)
);
select airlock.fence_tenant('airlock.variable');
