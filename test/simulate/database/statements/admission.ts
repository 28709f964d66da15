/** `airlock.admit` and what goes with it (`0003-admission.sql`), query by query: each sees anew, as in plpgsql. */
import {
  admit as admitByRule,
  taskKey,
  type Waiting,
} from "../../../../platform/engine/admission.ts";
import type { SemanticsLevel } from "../../../../platform/model/states.ts";
import { plain, statement } from "../recognize.ts";
import type { Handler, Statement } from "../server.ts";
import { dagKey, type Instance, instanceKey, type Permit, type Tenant } from "../tables.ts";
import { type Bell, ring } from "./queue.ts";
import { byBytes, least, number, text } from "./read.ts";

/** What makes admission right; a planted bug leaves one of them out. */
export type AdmissionRules = {
  readonly oneAtATime: boolean;
  readonly tenantQuota: boolean;
  readonly pools: boolean;
  readonly activeTasks: boolean;
  readonly ownLimits: boolean;
  readonly notPaused: boolean;
  readonly notSuspended: boolean;
  readonly highestFirst: boolean;
  readonly permits: boolean;
};
export const allRules: AdmissionRules = {
  oneAtATime: true,
  tenantQuota: true,
  pools: true,
  activeTasks: true,
  ownLimits: true,
  notPaused: true,
  notSuspended: true,
  highestFirst: true,
  permits: true,
};

const laneOf = (row: Instance): string =>
  `${row.run} ${row.pool_slots} ${row.max_per_dag === null && row.max_per_run === null ? "" : row.task_id} ${row.pool}`;

/** The lanes of a tenant in which something waits, and what waits in each, in Airflow's order. */
function waitingLanes(s: Statement, tenant: string, runs: readonly string[]): Instance[][] {
  const lanes = new Map<string, Instance[]>();
  for (const run of runs)
    for (const row of s.all(s.tables.instance, run)) {
      if (row.state !== "scheduled" || row.tenant !== tenant) continue;
      const lane = lanes.get(laneOf(row));
      if (lane === undefined) lanes.set(laneOf(row), [row]);
      else lane.push(row);
    }
  return [...lanes.values()].map((lane) => lane.toSorted(byTurnInLane));
}

const byTurnInLane = (a: Instance, b: Instance): number =>
  b.priority_weight - a.priority_weight ||
  compare(a.order_at, b.order_at) ||
  a.map_index - b.map_index ||
  byBytes(a.task_id, b.task_id);
const compare = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);
const byTurn = (a: Instance, b: Instance): number =>
  b.priority_weight - a.priority_weight ||
  compare(a.order_at, b.order_at) ||
  a.map_index - b.map_index ||
  Number(a.run) - Number(b.run) ||
  byBytes(a.task_id, b.task_id);

const sum = (permits: readonly Permit[], isMeant: (permit: Permit) => boolean): number =>
  permits.reduce((all, permit) => all + (isMeant(permit) ? permit.slots : 0), 0);
const count = (permits: readonly Permit[], isMeant: (permit: Permit) => boolean): number =>
  permits.reduce((all, permit) => all + (isMeant(permit) ? 1 : 0), 0);

type Open = {
  readonly level: string;
  readonly pool: number | null;
  readonly active: number;
  readonly task: number | null;
  readonly ofRun: number | null;
};

function roomOf(
  s: Statement,
  tenant: string,
  h: Instance,
  permits: readonly Permit[],
  level: string,
  activeMax: number,
): Open {
  const pool = s.get(s.tables.pool, `${tenant}/${h.pool}`);
  const isOfTask = (permit: Permit): boolean =>
    permit.dag_id === h.dag_id && permit.task_id === h.task_id;
  const deferred = (): number =>
    s
      .all(s.tables.instance)
      .filter((row) => row.tenant === tenant && row.pool === h.pool && row.state === "deferred")
      .reduce((all, row) => all + row.pool_slots, 0);
  return {
    level,
    pool:
      pool === undefined || pool.slots < 0
        ? null
        : pool.slots -
          sum(permits, (permit) => permit.pool === h.pool) -
          (pool.include_deferred ? deferred() : 0),
    active:
      activeMax -
      count(permits, (permit) =>
        level === "3" ? permit.run === h.run : permit.dag_id === h.dag_id,
      ),
    task: h.max_per_dag === null ? null : h.max_per_dag - count(permits, isOfTask),
    ofRun:
      h.max_per_run === null
        ? null
        : h.max_per_run -
          count(permits, (permit) => permit.run === h.run && permit.task_id === h.task_id),
  };
}

export const admit = (rules: AdmissionRules = allRules): Handler =>
  function* (s, [tenantParameter]) {
    const tenant = text(tenantParameter);
    const { instance: instances, permit: permits, attempt: attempts } = s.tables;
    if (rules.oneAtATime && !s.tryLock(s.tables.tenant, tenant)) return [{ admitted: -1 }];
    const quota = s.newest(s.tables.tenant, tenant);
    if (quota === undefined) return [{ admitted: -1 }];
    if (rules.notSuspended && quota.state !== "active") return [{ admitted: 0 }];
    yield undefined;
    s.renew();
    const inFlight = s.all(permits, tenant).length;
    const room = rules.tenantQuota ? quota.max_running - inFlight : 1_000;
    if (room <= 0) return [{ admitted: 0 }];
    yield undefined;
    s.renew();

    const held = s.all(permits, tenant);
    const runs = s.all(s.tables.run).filter((run) => run.tenant === tenant);
    const byRun = new Map(runs.map((run) => [run.run, run]));
    const waiting: { readonly ti: Instance; readonly open: Open }[] = [];
    const lanes = waitingLanes(s, tenant, [...byRun.keys()]);
    const byRule = chosenByRule(s, quota, inFlight, lanes.flat(), held);
    for (const lane of lanes) {
      const [h] = lane;
      if (h === undefined) continue;
      const dag = s.get(s.tables.dag, dagKey(tenant, h.dag_id));
      const run = byRun.get(h.run);
      if (run?.state !== "running" || dag === undefined) continue;
      if (rules.notPaused && dag.is_paused) continue;
      if (s.get(s.tables.pool, `${tenant}/${h.pool}`) === undefined) continue;
      const seen = roomOf(s, tenant, h, held, dag.level, dag.max_active_tasks);
      const open: Open = {
        level: seen.level,
        pool: rules.pools ? seen.pool : null,
        active: rules.activeTasks ? seen.active : 1_000,
        task: rules.ownLimits ? seen.task : null,
        ofRun: rules.ownLimits ? seen.ofRun : null,
      };
      const most = Math.max(
        0,
        least(
          room,
          open.pool === null || h.pool_slots === 0 ? null : Math.trunc(open.pool / h.pool_slots),
          open.active,
          open.task,
          open.ofRun,
        ),
      );
      for (const ti of lane.slice(0, most)) waiting.push({ ti, open });
    }
    waiting.sort((a, b) => (rules.highestFirst ? byTurn(a.ti, b.ti) : byTurn(b.ti, a.ti)));

    const taken = new Map<string, number>();
    const of = (name: string): number => taken.get(name) ?? 0;
    const take = (name: string, n: number): void => void taken.set(name, of(name) + n);
    const chosen: Instance[] = [];
    let missed = false;
    for (const { ti, open } of waiting) {
      if (chosen.length >= room) break;
      const pool = `pool ${ti.pool}`;
      const active = open.level === "3" ? `run ${ti.run}` : `dag ${ti.dag_id}`;
      const task = `task ${ti.dag_id} ${ti.task_id}`;
      const ofRun = `run ${ti.run} ${ti.task_id}`;
      if (
        (open.pool !== null && of(pool) + ti.pool_slots > open.pool) ||
        of(active) >= open.active ||
        (open.task !== null && of(task) >= open.task) ||
        (open.ofRun !== null && of(ofRun) >= open.ofRun)
      )
        continue;
      yield undefined;
      s.renew();
      // As SQL does it: the row of the snapshot must be meant, then its newest version once more.
      if (
        s.get(instances, instanceKey(ti))?.state !== "scheduled" ||
        !s.tryLock(instances, instanceKey(ti)) ||
        s.newest(instances, instanceKey(ti))?.state !== "scheduled"
      ) {
        missed = true;
        continue;
      }
      take(pool, ti.pool_slots);
      take(active, 1);
      take(task, 1);
      take(ofRun, 1);
      chosen.push(ti);
    }

    s.transaction.told.push({
      kind: "admitted",
      chosen: chosen.map((ti) => ti.id),
      byRule,
      missed,
    });
    s.renew();
    const bells: Bell[] = [];
    for (const [n, ti] of chosen.entries()) {
      const row = s.newest(instances, instanceKey(ti)) ?? ti;
      s.put(instances, { ...row, state: "queued" });
      const before = s.newest(attempts, ti.id);
      const fresh = {
        tenant,
        attempt: ti.id,
        run: ti.run,
        dag_id: ti.dag_id,
        task_id: ti.task_id,
        map_index: ti.map_index,
        try_number: ti.try_number,
        state: "admitted" as const,
        fence: 0,
        worker: null,
        lease_until: null,
        queue: ti.queue,
        crashes: 0,
        admitted_at: s.clock,
        outcome: null,
        stop_asked: null,
      };
      if (before === undefined) yield* s.insert(attempts, fresh);
      else {
        const now = yield* s.lock(attempts, ti.id);
        s.put(attempts, {
          ...(now ?? fresh),
          state: "admitted",
          worker: null,
          admitted_at: s.clock,
          outcome: null,
        });
      }
      if (rules.permits)
        yield* s.insert(permits, {
          tenant,
          attempt: ti.id,
          run: ti.run,
          dag_id: ti.dag_id,
          task_id: ti.task_id,
          pool: ti.pool,
          slots: ti.pool_slots,
        });
      s.transaction.changes.push({ ...ti, from: "scheduled", to: "queued" });
      bells.push({
        tenant,
        attempt: ti.id,
        queue: ti.queue,
        priority: Math.min(32_767, Math.ceil(((inFlight + n + 1) * 8) / quota.weight)),
      });
    }
    if (bells.length > 0) yield* ring(s, bells);
    return [{ admitted: missed ? -1 : chosen.length }];
  };

/** What the engine's own rule says of the same rows: the invariants compare. */
function chosenByRule(
  s: Statement,
  quota: Tenant,
  inFlight: number,
  scheduled: readonly Instance[],
  held: readonly Permit[],
): readonly string[] {
  if (quota.state !== "active") return [];
  const waiting = scheduled.flatMap((ti): Waiting[] => {
    const dag = s.get(s.tables.dag, dagKey(ti.tenant, ti.dag_id));
    const run = s.get(s.tables.run, ti.run);
    if (dag === undefined || dag.is_paused || run?.state !== "running") return [];
    return [
      {
        ...ti,
        logical_date_ms: Number.isFinite(ti.order_at) ? ti.order_at : undefined,
        level: dag.level as SemanticsLevel,
        max_active_tasks: dag.max_active_tasks,
        max_active_tis_per_dag: ti.max_per_dag ?? undefined,
        max_active_tis_per_dagrun: ti.max_per_run ?? undefined,
      },
    ];
  });
  const use = (keyOf: (permit: Permit) => string, sizeOf: (permit: Permit) => number = () => 1) => {
    const used = new Map<string, number>();
    for (const permit of held)
      used.set(keyOf(permit), (used.get(keyOf(permit)) ?? 0) + sizeOf(permit));
    return used;
  };
  return admitByRule({
    waiting,
    inUse: {
      tenant: inFlight,
      pools: use(
        (permit) => permit.pool,
        (permit) => permit.slots,
      ),
      dags: use((permit) => permit.dag_id),
      runs: use((permit) => permit.run),
      tasks: use((permit) => taskKey(permit.dag_id, permit.task_id)),
      runTasks: use((permit) => taskKey(permit.run, permit.task_id)),
    },
    limits: {
      tenant: quota.max_running,
      pools: new Map(
        s
          .all(s.tables.pool)
          .filter((row) => row.tenant === quota.tenant)
          .map((row) => [row.pool, row.slots]),
      ),
    },
  }).admitted;
}

type Facts = {
  readonly tenant_active: boolean;
  readonly dag_paused: boolean;
  readonly in_flight: number;
  readonly max_running: number;
  readonly weight: number;
  readonly own_admitted: number;
  readonly others_least: number | null;
  readonly first_waiting: {
    readonly priority_weight: number;
    readonly map_index: number;
    readonly order_ms: number | null;
  } | null;
  readonly pool_open: number | null;
  readonly dag_open: number;
};

/** What a planted bug tells a worker that would go on, in place of the truth. */
export const continuationFacts = (lie: (facts: Facts) => Facts = (facts) => facts) =>
  plain((s, p) => {
    const tenant = text(p[0]);
    const [poolName, run, dagId, queue] = [text(p[1]), text(p[3]), text(p[4]), text(p[8])];
    const t = s.get(s.tables.tenant, tenant);
    const dag = s.get(s.tables.dag, dagKey(tenant, dagId));
    const pool = s.get(s.tables.pool, `${tenant}/${poolName}`);
    if (t === undefined || dag === undefined || pool === undefined) return [];
    const permits = s.all(s.tables.permit, tenant);
    const admitted = s
      .all(s.tables.attempt)
      .filter((row) => row.state === "admitted" && row.queue === queue);
    const others = new Set(
      admitted.filter((row) => row.tenant !== tenant).map((row) => row.tenant),
    );
    const turns = [...others].flatMap((name) => {
      const other = s.get(s.tables.tenant, name);
      return other === undefined ? [] : [(s.all(s.tables.permit, name).length + 1) / other.weight];
    });
    const runs = s.all(s.tables.run).filter((row) => row.tenant === tenant);
    const [first] = waitingLanes(
      s,
      tenant,
      runs.map((row) => row.run),
    )
      .flatMap((lane) => lane.slice(0, 1))
      .filter(
        (h) =>
          s.get(s.tables.dag, dagKey(tenant, h.dag_id))?.is_paused === false &&
          (h.pool === poolName || h.dag_id === dagId || permits.length >= t.max_running),
      )
      .toSorted(
        (a, b) =>
          b.priority_weight - a.priority_weight ||
          compare(a.order_at, b.order_at) ||
          a.map_index - b.map_index,
      );
    const facts: Facts = {
      tenant_active: t.state === "active",
      dag_paused: dag.is_paused,
      in_flight: permits.length,
      max_running: t.max_running,
      weight: t.weight,
      own_admitted: admitted.filter((row) => row.tenant === tenant).length,
      others_least: turns.length === 0 ? null : Math.min(...turns),
      first_waiting:
        first === undefined
          ? null
          : {
              priority_weight: first.priority_weight,
              map_index: first.map_index,
              order_ms: Number.isFinite(first.order_at) ? Math.floor(first.order_at) : null,
            },
      pool_open:
        pool.slots < 0 ? null : pool.slots - sum(permits, (permit) => permit.pool === poolName),
      dag_open:
        dag.max_active_tasks -
        count(permits, (permit) =>
          dag.level === "3" ? permit.run === run : permit.dag_id === dagId,
        ),
    };
    s.transaction.told.push({ kind: "facts", facts });
    return [lie(facts)];
  });

export function admissionStatements(): void {
  statement("admit", ["select airlock.admit(?) as admitted"], admit());
  statement(
    "continuation facts",
    ["cross join airlock.continuation_facts(?, ?) f"],
    continuationFacts(),
  );
  statement(
    "waiting tenants",
    ["select t.tenant from airlock.tenant t", "airlock.waiting_lanes(t.tenant)"],
    plain((s, [older]) =>
      s
        .all(s.tables.tenant)
        .filter(
          (t) =>
            t.state === "active" &&
            waitingLanes(
              s,
              t.tenant,
              s
                .all(s.tables.run)
                .filter((run) => run.tenant === t.tenant)
                .map((run) => run.run),
            ).some((lane) =>
              lane
                .slice(0, 1)
                .some(
                  (row) =>
                    row.scheduled_at !== null && row.scheduled_at < s.clock - number(older) * 1000,
                ),
            ),
        )
        .map(({ tenant }) => ({ tenant })),
    ),
  );
}

export type { Facts };
