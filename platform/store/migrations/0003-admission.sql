-- Admission: the only writer of scheduled → queued. It takes no run lock; the tenant's row lock makes it one at a
-- time per tenant, and every limit is a count of permit rows. The rule is `admit` of platform/engine; a property
-- test holds the two together.
--
-- A completion must not cost a look at everything that waits: ten thousand mapped instances behind a limit of 16
-- would be read ten thousand times. What is bound by the same limits is one lane (`task_instance.lane`), full or
-- open as a whole, and of a lane no more is read than it has room for.

-- The lanes of a tenant in which something waits, each found by one step through the index.
create function airlock.waiting_lanes(p_tenant text) returns table (run bigint, lane text) language sql stable as $$
  with recursive l as (
    (select t.run, t.lane from airlock.task_instance t
      where t.tenant = p_tenant and t.state = 'scheduled' order by t.run, t.lane limit 1)
    union all
    select n.run, n.lane from l cross join lateral (
      select t.run, t.lane from airlock.task_instance t
       where t.tenant = p_tenant and t.state = 'scheduled' and (t.run, t.lane) > (l.run, l.lane)
       order by t.run, t.lane limit 1) n)
  select l.run, l.lane from l
$$;

-- Answers how many were admitted, or -1 if not all could be looked at: somebody else admits for this tenant, or
-- holds a row that was next. Then whoever called tries again after its commit, or what it made ready would wait
-- for the next completion.
create function airlock.admit(p_tenant text) returns int language plpgsql as $$
declare
  quota     record;
  room      int;
  in_flight int;
  admitted  int := 0;
  missed    boolean := false;
  taken     jsonb := '{}';  -- what this call has taken of each limit
  chosen    jsonb := '[]';
  ti        record;
  of_pool   text;
  of_active text;
  of_task   text;
  of_run    text;
begin
  -- "no key": inserting rows that refer to the tenant must not wait for us
  select max_running, weight, state into quota
    from airlock.tenant where tenant = p_tenant for no key update skip locked;
  if not found then return -1; end if;
  if quota.state <> 'active' then return 0; end if;
  select count(*) into in_flight from airlock.permit where tenant = p_tenant;
  room := quota.max_running - in_flight;
  if room <= 0 then return 0; end if;

  for ti in
    select w.*, o.level, o.run_id, o.pool_open, o.active_open, o.task_open, o.run_open
      from airlock.waiting_lanes(p_tenant) l
      cross join lateral (
        select h.task_id, h.dag_id, h.pool, h.pool_slots, h.max_per_dag, h.max_per_run from airlock.task_instance h
         where h.tenant = p_tenant and h.run = l.run and h.lane = l.lane and h.state = 'scheduled' limit 1) h
      join airlock.dag_run r on r.tenant = p_tenant and r.run = l.run and r.state = 'running'
      join airlock.dag d on d.tenant = p_tenant and d.dag_id = h.dag_id and not d.is_paused
      join airlock.pool p on p.tenant = p_tenant and p.pool = h.pool
      cross join lateral (
        select d.level, r.run_id,
               case when p.slots >= 0 then
                 p.slots - (select coalesce(sum(slots), 0) from airlock.permit where tenant = p_tenant and pool = h.pool)
                 - case when p.include_deferred then
                     (select coalesce(sum(pool_slots), 0) from airlock.task_instance
                       where tenant = p_tenant and pool = h.pool and state = 'deferred') else 0 end
               end as pool_open,
               d.max_active_tasks - (select count(*) from airlock.permit
                 where tenant = p_tenant and case when d.level = '3' then run = l.run else dag_id = h.dag_id end) as active_open,
               h.max_per_dag - (select count(*) from airlock.permit
                 where tenant = p_tenant and dag_id = h.dag_id and task_id = h.task_id) as task_open,
               h.max_per_run - (select count(*) from airlock.permit
                 where tenant = p_tenant and run = l.run and task_id = h.task_id) as run_open) o
      cross join lateral (
        select i.run, i.task_id, i.map_index, i.id, i.dag_id, i.try_number, i.pool, i.pool_slots, i.queue, i.priority_weight,
               i.order_at, i.max_per_dag, i.max_per_run
          from airlock.task_instance i
         where i.tenant = p_tenant and i.run = l.run and i.lane = l.lane and i.state = 'scheduled'
         order by i.priority_weight desc, i.order_at, i.map_index, i.task_id collate "C"
         limit greatest(0, least(room, o.pool_open / nullif(h.pool_slots, 0), o.active_open, o.task_open, o.run_open))) w
     order by w.priority_weight desc, w.order_at, w.map_index, w.run, w.task_id collate "C"
  loop
    exit when admitted >= room;
    of_pool := 'pool ' || ti.pool;
    of_active := case when ti.level = '3' then 'run ' || ti.run else 'dag ' || ti.dag_id end;
    of_task := 'task ' || ti.dag_id || ' ' || ti.task_id;
    of_run := 'run ' || ti.run || ' ' || ti.task_id;
    continue when coalesce((taken ->> of_pool)::int, 0) + ti.pool_slots > ti.pool_open
      or coalesce((taken ->> of_active)::int, 0) >= ti.active_open
      or coalesce((taken ->> of_task)::int, 0) >= ti.task_open
      or coalesce((taken ->> of_run)::int, 0) >= ti.run_open;
    -- a clear or a mark that has it right now decides
    perform from airlock.task_instance
      where tenant = p_tenant and run = ti.run and task_id = ti.task_id and map_index = ti.map_index and state = 'scheduled'
        for update skip locked;
    if not found then missed := true; continue; end if;
    taken := taken || jsonb_build_object(
      of_pool, coalesce((taken ->> of_pool)::int, 0) + ti.pool_slots,
      of_active, coalesce((taken ->> of_active)::int, 0) + 1,
      of_task, coalesce((taken ->> of_task)::int, 0) + 1,
      of_run, coalesce((taken ->> of_run)::int, 0) + 1);
    admitted := admitted + 1;
    -- Everybody's first task before anybody's second: `priorityOf` of platform/engine.
    chosen := chosen || jsonb_build_object(
      'n', admitted, 'run', ti.run, 'task_id', ti.task_id, 'map_index', ti.map_index, 'id', ti.id, 'dag_id', ti.dag_id,
      'run_id', ti.run_id, 'try_number', ti.try_number, 'pool', ti.pool, 'slots', ti.pool_slots, 'level', ti.level,
      't', p_tenant, 'a', ti.id, 'q', ti.queue,
      'p', least(32767, ceil((in_flight + admitted) * 8.0 / quota.weight)));
  end loop;

  if admitted > 0 then
    update airlock.task_instance i set state = 'queued', queued_at = clock_timestamp()
      from jsonb_to_recordset(chosen) as c(run bigint, task_id text, map_index int)
     where i.tenant = p_tenant and i.run = c.run and i.task_id = c.task_id and i.map_index = c.map_index;
    -- A reschedule or a deferral goes on as the same try: its row is taken up again, the fence stays.
    insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue)
      select p_tenant, c.id, c.run, c.dag_id, c.task_id, c.map_index, c.try_number, 'admitted', c.q
        from jsonb_to_recordset(chosen) as c(id uuid, run bigint, dag_id text, task_id text, map_index int, try_number int, q text)
      on conflict (tenant, attempt) do update
        set state = 'admitted', worker = null, admitted_at = clock_timestamp(), ended_at = null, outcome = null;
    insert into airlock.permit (tenant, attempt, run, dag_id, task_id, pool, slots, queue, level)
      select p_tenant, c.id, c.run, c.dag_id, c.task_id, c.pool, c.slots, c.q, c.level
        from jsonb_to_recordset(chosen) as c(id uuid, run bigint, dag_id text, task_id text, pool text, slots int, q text, level text);
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
      select p_tenant, c.run, c.dag_id, c.run_id, c.task_id, c.map_index, c.try_number, 'scheduled', 'queued'
        from jsonb_to_recordset(chosen) as c(n int, run bigint, dag_id text, run_id text, task_id text, map_index int, try_number int)
       order by c.n;
    perform airlock.ring(chosen::json);
  end if;
  return case when missed then -1 else admitted end;
end $$;

-- What continuation must know of the others before a worker may go on by itself (facts for `mayContinue`):
-- whether anybody waits for this worker's slot. Runs as the owner's system role, since it looks past the tenant;
-- it tells numbers, no names, and a tenant those of itself alone.
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
   where p_tenant = airlock.current_tenant()
$$;
revoke execute on function airlock.continuation_facts(text, text) from public;
grant execute on function airlock.continuation_facts(text, text) to airlock_app, airlock_system;
