-- Traces: what a run's spans are named by, wherever they are made. Added without a default first, so that the rows that
-- are there need not be written anew; they have no trace.

-- 128 random bits: the trace's id. Its last 64 are the id of the run's own span, the root.
alter table airlock.dag_run add column trace uuid;
alter table airlock.dag_run alter column trace set default gen_random_uuid();
-- Before the run was cleared and ran again, which is a trace of its own.
alter table airlock.dag_run add column trace_before uuid;

-- Of the sync that made this deploy; null: nobody traced it.
alter table airlock.deploy add column trace uuid;
