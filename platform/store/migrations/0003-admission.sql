-- Admission: the only writer of scheduled → queued. It takes no run lock; the tenant's row lock makes it one at a
-- time per tenant, and every limit is a count of permit rows. The rule is `admit` of platform/engine; a property
-- test holds the two together.
--
-- Answers how many were admitted, or -1 if somebody else is admitting for this tenant: then whoever called tries
-- again after its commit, or what it made ready would wait for the next completion.
create function airlock.admit(p_tenant text) returns int language plpgsql as $$
declare
  quota         record;
  room          int;
  in_flight     int;
  admitted      int := 0;
  jobs          jsonb := '[]';
  pool_open     jsonb := '{}';    -- free slots of the pools that were looked at
  open_slots    int;
  full_dags     text[] := '{}';
  full_runs     bigint[] := '{}';
  full_tasks    text[] := '{}';   -- dag/task, over runs
  full_run_tasks text[] := '{}';  -- run/task
  ti            record;
  used          int;
  blocked       boolean;
begin
  -- "no key": inserting rows that refer to the tenant must not wait for us
  select max_running, weight, state into quota
    from airlock.tenant where tenant = p_tenant for no key update skip locked;
  if not found then return -1; end if;
  if quota.state <> 'active' then return 0; end if;
  select count(*) into in_flight from airlock.permit where tenant = p_tenant;
  room := quota.max_running - in_flight;

  while room > 0 loop
    -- One candidate at a time: what is full is left out by the index scan itself, so a flood of one DAG behind a
    -- full pool costs a scan and no loop in here.
    select w.run, w.task_id, w.map_index, w.id, w.dag_id, w.try_number, w.pool, w.pool_slots, w.queue,
           w.max_per_dag, w.max_per_run, d.max_active_tasks, d.level, r.run_id, p.slots as pool_size, p.include_deferred
      into ti
      from airlock.task_instance w
      join airlock.dag_run r on r.tenant = w.tenant and r.run = w.run and r.state = 'running'
      join airlock.dag d on d.tenant = w.tenant and d.dag_id = w.dag_id and not d.is_paused
      join airlock.pool p on p.tenant = w.tenant and p.pool = w.pool
     where w.tenant = p_tenant and w.state = 'scheduled'
       and w.pool_slots <= coalesce((pool_open ->> w.pool)::int, 2000000000)
       and w.dag_id <> all (full_dags) and w.run <> all (full_runs)
       and (w.max_per_dag is null or w.dag_id || '/' || w.task_id <> all (full_tasks))
       and (w.max_per_run is null or w.run || '/' || w.task_id <> all (full_run_tasks))
       and (p.slots < 0 or w.pool_slots <= p.slots)  -- larger than the pool: never, and `why` says so
     order by w.priority_weight desc, w.order_at, w.run, w.map_index, w.task_id
     limit 1
       for update of w skip locked;  -- a clear or a mark that has it right now decides
    exit when not found;

    blocked := false;
    if ti.pool_size >= 0 then
      -- Too big now: a smaller task of lower priority may still pass, as in Airflow.
      open_slots := (pool_open ->> ti.pool)::int;
      if open_slots is null then
        select ti.pool_size - coalesce(sum(slots), 0) into open_slots
          from airlock.permit where tenant = p_tenant and pool = ti.pool;
        if ti.include_deferred then
          open_slots := open_slots - (select coalesce(sum(pool_slots), 0) from airlock.task_instance
                                       where tenant = p_tenant and pool = ti.pool and state = 'deferred');
        end if;
        pool_open := pool_open || jsonb_build_object(ti.pool, open_slots);
      end if;
      blocked := ti.pool_slots > open_slots;
    end if;
    if ti.level = '3' then
      select count(*) into used from airlock.permit where tenant = p_tenant and run = ti.run;
      if used >= ti.max_active_tasks then full_runs := full_runs || ti.run; blocked := true; end if;
    else
      select count(*) into used from airlock.permit where tenant = p_tenant and dag_id = ti.dag_id;
      if used >= ti.max_active_tasks then full_dags := full_dags || ti.dag_id; blocked := true; end if;
    end if;
    if ti.max_per_dag is not null then
      select count(*) into used from airlock.permit where tenant = p_tenant and dag_id = ti.dag_id and task_id = ti.task_id;
      if used >= ti.max_per_dag then full_tasks := full_tasks || (ti.dag_id || '/' || ti.task_id); blocked := true; end if;
    end if;
    if ti.max_per_run is not null then
      select count(*) into used from airlock.permit where tenant = p_tenant and run = ti.run and task_id = ti.task_id;
      if used >= ti.max_per_run then full_run_tasks := full_run_tasks || (ti.run || '/' || ti.task_id); blocked := true; end if;
    end if;
    continue when blocked;
    if ti.pool_size >= 0 then
      pool_open := pool_open || jsonb_build_object(ti.pool, open_slots - ti.pool_slots);
    end if;

    update airlock.task_instance
       set state = 'queued', queued_at = clock_timestamp()
     where tenant = p_tenant and run = ti.run and task_id = ti.task_id and map_index = ti.map_index;
    -- A reschedule or a deferral goes on as the same try: its row is taken up again, the fence stays.
    insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue)
      values (p_tenant, ti.id, ti.run, ti.dag_id, ti.task_id, ti.map_index, ti.try_number, 'admitted', ti.queue)
      on conflict (tenant, attempt) do update
        set state = 'admitted', worker = null, admitted_at = clock_timestamp(), ended_at = null, outcome = null;
    insert into airlock.permit (tenant, attempt, run, dag_id, task_id, pool, slots, queue, level)
      values (p_tenant, ti.id, ti.run, ti.dag_id, ti.task_id, ti.pool, ti.pool_slots, ti.queue, ti.level);
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
      values (p_tenant, ti.run, ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number, 'scheduled', 'queued');
    admitted := admitted + 1;
    room := room - 1;
    -- Everybody's first task before anybody's second.
    jobs := jobs || jsonb_build_object('t', p_tenant, 'a', ti.id, 'q', ti.queue,
      'p', least(32767, ceil((in_flight + admitted)::numeric / quota.weight)));
  end loop;

  if admitted > 0 then perform airlock.ring(jobs::json); end if;
  return admitted;
end $$;

-- What continuation must know of the others before a worker may go on by itself (facts for `mayContinue`):
-- whether anybody waits for this worker's slot. Runs as the owner's system role, since it looks past the tenant;
-- it tells numbers, no names.
create function airlock.continuation_facts(p_tenant text, p_queue text,
    out in_flight int, out weight int, out own_admitted int, out others_least float8)
  language sql stable security definer set search_path = pg_catalog, airlock as $$
  select (select count(*)::int from airlock.permit where tenant = p_tenant),
         (select t.weight from airlock.tenant t where t.tenant = p_tenant),
         (select count(*)::int from airlock.attempt where state = 'admitted' and queue = p_queue and tenant = p_tenant),
         (select min((f.n + 1)::float8 / t.weight)
            from (select distinct a.tenant from airlock.attempt a
                   where a.state = 'admitted' and a.queue = p_queue and a.tenant <> p_tenant) w
            join airlock.tenant t on t.tenant = w.tenant
            cross join lateral (select count(*) as n from airlock.permit p where p.tenant = w.tenant) f)
$$;
revoke execute on function airlock.continuation_facts(text, text) from public;
grant execute on function airlock.continuation_facts(text, text) to airlock_app, airlock_system;
