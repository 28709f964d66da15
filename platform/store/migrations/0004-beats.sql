-- When each role last did its work: what the health answer tells of schedulers and syncs, wherever they run.
create table airlock.role_beat (
  role text primary key check (role in ('scheduler', 'sync')),
  at   timestamptz not null
);
alter table airlock.role_beat enable row level security;
alter table airlock.role_beat force row level security;
do $$
begin
  execute format('create policy system_only on airlock.role_beat to airlock_system, %I using (true) with check (true)', current_user);
end $$;
