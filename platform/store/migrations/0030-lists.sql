-- What failed lately, newest first, without a look at what went well. A failure is rare: the indexes stay small.
create index task_instance_failed on airlock.task_instance (tenant, ended_at desc) where state = 'failed';
create index dag_run_failed on airlock.dag_run (tenant, ended_at desc) where state = 'failed';

-- The last runs of a thousand DAGs come from the index alone. Counting a run's tasks does not touch these columns, so
-- such updates stay within the row's page as before.
drop index airlock.dag_run_recent;
create index dag_run_recent on airlock.dag_run (tenant, dag_id, run_after desc) include (run_id, state, started_at, ended_at);
