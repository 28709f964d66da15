-- What failed lately, newest first, without a look at what went well. A failure is rare: the indexes stay small.
create index task_instance_failed on airlock.task_instance (tenant, ended_at desc) where state = 'failed';
create index dag_run_failed on airlock.dag_run (tenant, ended_at desc) where state = 'failed';
