-- What people ask of a run and of a try that ended: which task started this run, and what ended that process.

-- The run and the task instance that triggered it. No foreign key: the origin may be deleted before what it began.
alter table airlock.dag_run
  add column by_run       bigint,
  add column by_task      text,
  add column by_map_index int;
create index dag_run_by_run on airlock.dag_run (tenant, by_run) where by_run is not null;

alter table airlock.attempt
  add column signal    text check (length(signal) <= 20),   -- SIGKILL …
  add column limit_hit text check (length(limit_hit) <= 40); -- memory, processes, wall …
