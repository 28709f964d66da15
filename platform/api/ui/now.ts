import { z } from "zod";
import type { Asker, TenantRights } from "../../../policies/authz/authorizer.ts";
import { nextRun } from "../../engine/timetable.ts";
import type { TenantId } from "../../model/ids.ts";
import {
  type DueDagRow,
  type FailureRow,
  listBrokenFiles,
  listDueDags,
  listFailures,
  listLastDeploys,
  listLateDags,
  listLostRepositories,
  listOpenTasks,
  listPoolPressure,
  listPressure,
} from "../../store/attention.ts";
import { tenantsWithDenials } from "../../store/grants.ts";
import type { Tx } from "../../store/open.ts";
import { type Scope, seesAll } from "../../store/seen-across.ts";
import { seenTenants } from "../admin/tenants.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";
import { groupFailures, judgeOpenTask } from "./judge-attention.ts";

const when = z.iso.datetime();
const instance = {
  tenant: z.string(),
  dag_id: z.string(),
  run_id: z.string(),
  /** "": the run as a whole. */
  task_id: z.string(),
  map_index: z.int(),
  try_number: z.int(),
};
const failureGroup = z.object({
  tenant: z.string(),
  /** The reason without what differs from one to the next; "": none was given. */
  fingerprint: z.string(),
  count: z.int(),
  /** true: there are more than were counted. */
  more: z.boolean(),
  first_at: when,
  dag_count: z.int(),
  /** Some of them, those that still fail first. */
  dag_ids: z.array(z.string()),
  still_failing: z.int(),
  newest: z.object({ ...instance, at: when, reason: z.string().nullable() }),
});
const stuckTask = z.object({
  ...instance,
  /** `long`: far longer than it does as a rule; `very_long`: nothing to compare with; `queued`: waits for a worker. */
  kind: z.enum(["long", "very_long", "queued"]),
  since: when,
  median_s: z.number().nullable(),
  p95_s: z.number().nullable(),
});
const fullPool = z.object({
  tenant: z.string(),
  pool: z.string(),
  slots: z.int(),
  running_slots: z.int(),
  queued_slots: z.int(),
  waiting: z.int(),
  oldest_wait_at: when.nullable(),
});
const now = z.object({
  /** The server's clock when it was read. */
  at: when,
  failures: z.array(failureGroup),
  stuck: z.array(stuckTask),
  late: z.array(
    z.object({
      tenant: z.string(),
      dag_id: z.string(),
      display_name: z.string(),
      due_at: when,
      open_runs: z.int(),
      max_active_runs: z.int(),
    }),
  ),
  import_errors: z.array(
    z.object({
      tenant: z.string(),
      repository: z.string(),
      path: z.string(),
      line: z.int().nullable(),
      message: z.string(),
      hint: z.string().nullable(),
      at: when,
      dag_ids: z.array(z.string()),
    }),
  ),
  sync_errors: z.array(
    z.object({
      tenant: z.string(),
      repository: z.string(),
      message: z.string(),
      hint: z.string().nullable(),
      failures: z.int(),
      last_synced_at: when.nullable(),
      next_try_at: when,
    }),
  ),
  pressure: z.array(
    z.object({
      tenant: z.string(),
      max_running: z.int(),
      running: z.int(),
      queued: z.int(),
    }),
  ),
  pools: z.array(fullPool),
  /** Runs of the next hour, the soonest first. */
  due: z.array(
    z.object({
      tenant: z.string(),
      dag_id: z.string(),
      display_name: z.string(),
      /** The first `timesMax` of them. */
      times: z.array(when),
    }),
  ),
  deploys: z.array(
    z.object({
      tenant: z.string(),
      repository: z.string(),
      commit: z.string().nullable(),
      state: z.enum(["syncing", "live", "failed"]),
      at: when,
      ms: z.int().nullable(),
      dags_new: z.int(),
      dags_changed: z.int(),
      dags_removed: z.int(),
      errors: z.int(),
    }),
  ),
  /** Tenants whose own rules could not all be asked in one answer: each has its own page. */
  left_out: z.array(z.string()),
});
export type Now = z.output<typeof now>;

const hourS = 3_600;
const timesMax = 60;
/** Longer than the clock takes to make a run of what is due. */
const lateS = 60;
/** Tenants in which a part is seen, and whose rules must be compiled for it. */
const rulesMax = 200;

/** Per tenant; and in all, whether it is one tenant or a thousand. */
const boundsOf = (tenants: number) =>
  tenants === 1
    ? { failures: 2_000, open: 200, waiting: 10_000, deploys: 6 }
    : { failures: 200, open: 20, waiting: 1_000, deploys: 2 };
const listMax = 200;

export const nowEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/now`,
      tag: "Now",
      summary: "What needs attention in a tenant, what runs, what comes, what was deployed",
      policy: { deed: "dag.read", list: "dag" },
      answers: { 200: now },
    },
    async (ask) => {
      const scope = scopeOf(ask.tenant, ask.rights, ask.asker);
      return json(200, await ask.tx((tx) => readNow(tx, [scope], [])));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: "/api/platform/ui/now",
      tag: "Now",
      summary: "The same of all tenants that one may see, in one answer",
      policy: { signedIn: true, why: "each list is filtered by the rights in each tenant" },
      answers: { 200: now },
    },
    async (ask) => {
      const { scopes, leftOut } = await scopesOf(ask);
      return json(200, await ask.deps.store.system((tx) => readNow(tx, scopes, leftOut)));
    },
  ),
];

function scopeOf(tenant: TenantId, rights: TenantRights, asker: Asker): Scope {
  return {
    tenant,
    dags: rights.seen(asker, "dag.read", "dag"),
    runs: rights.seen(asker, "run.read", "dag"),
    code: rights.seen(asker, "code.read", "dag"),
    repositories: rights.seen(asker, "repo.read", "repo"),
    pools: rights.seen(asker, "pool.read", "pool"),
    wholeTenant: rights.can(asker, "tenant.read", "*"),
  };
}

/**
 * Who sees everything by the platform's own rules sees it in every tenant that denies nothing: the rules of a thousand
 * tenants need not be compiled to say so. All others are asked of each tenant that names them.
 */
async function scopesOf(
  ask: Ask<unknown, unknown>,
): Promise<{ readonly scopes: readonly Scope[]; readonly leftOut: readonly string[] }> {
  const { asker, deps } = ask;
  const platform = await deps.authorizer.rightsIn("*");
  const tenants = await seenTenants(ask);
  const seesEverything = (scope: Scope): boolean =>
    [scope.dags, scope.runs, scope.code, scope.repositories, scope.pools].every(seesAll) &&
    scope.wholeTenant;
  const denying = new Set(await deps.store.system(tenantsWithDenials));
  const scopes: Scope[] = [];
  const leftOut: string[] = [];
  let compiled = 0;
  for (const { tenant } of tenants) {
    const general = scopeOf(tenant, platform, asker);
    if (seesEverything(general) && !denying.has(tenant)) scopes.push(general);
    else if (compiled < rulesMax) {
      compiled += 1;
      scopes.push(scopeOf(tenant, await deps.authorizer.rightsIn(tenant), asker));
    } else leftOut.push(tenant);
  }
  return { scopes, leftOut };
}

async function readNow(tx: Tx, scopes: readonly Scope[], leftOut: readonly string[]): Promise<Now> {
  const bounds = boundsOf(scopes.length);
  const [failures, open, late, broken, lost, pressure, pools, due, deploys] = await Promise.all([
    listFailures(tx, scopes, bounds.failures),
    listOpenTasks(tx, scopes, { olderS: 60, perTenant: bounds.open, limit: listMax }),
    listLateDags(tx, scopes, { byS: lateS, limit: listMax }),
    listBrokenFiles(tx, scopes, listMax),
    listLostRepositories(tx, scopes, listMax),
    listPressure(tx, scopes, 50),
    listPoolPressure(tx, scopes, {
      waitingMax: bounds.waiting,
      limit: 50,
      onlyUsed: scopes.length > 1,
    }),
    listDueDags(tx, scopes, { seconds: hourS, limit: 300 }),
    listLastDeploys(tx, scopes, { perTenant: bounds.deploys, limit: 8 }),
  ]);
  const nowMs = Date.now();
  return {
    at: new Date(nowMs).toISOString(),
    failures: failuresOf(failures, bounds.failures),
    stuck: open.flatMap((task) => {
      const kind = judgeOpenTask(task, nowMs);
      const { samples: _, state: _state, since, ...rest } = task;
      return kind === undefined ? [] : [{ ...rest, since: since.toISOString(), kind }];
    }),
    late: late.map((dag) => ({ ...dag, due_at: dag.due_at.toISOString() })),
    import_errors: broken.map((file) => ({
      ...file,
      at: file.at.toISOString(),
      dag_ids: [...file.dag_ids],
    })),
    sync_errors: lost.map((repository) => ({
      ...repository,
      last_synced_at: repository.last_synced_at?.toISOString() ?? null,
      next_try_at: repository.next_try_at.toISOString(),
    })),
    pressure: [...pressure],
    pools: pools.map((pool) => ({
      ...pool,
      oldest_wait_at: pool.oldest_wait_at?.toISOString() ?? null,
    })),
    due: due.map((dag) => ({
      tenant: dag.tenant,
      dag_id: dag.dag_id,
      display_name: dag.display_name,
      times: timesOf(dag, nowMs + hourS * 1_000),
    })),
    deploys: deploys.map((deploy) => ({ ...deploy, at: deploy.at.toISOString() })),
    left_out: [...leftOut],
  };
}

const dagsTold = 8;

function failuresOf(rows: readonly FailureRow[], perTenant: number): Now["failures"] {
  const counts = new Map<string, number>();
  for (const { tenant } of rows) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
  return groupFailures(rows)
    .slice(0, listMax)
    .map((group) => ({
      tenant: group.tenant,
      fingerprint: group.fingerprint,
      count: group.count,
      more: (counts.get(group.tenant) ?? 0) >= perTenant,
      first_at: group.first_at.toISOString(),
      dag_count: group.dag_ids.length,
      dag_ids: group.dag_ids.slice(0, dagsTold),
      still_failing: group.still_failing,
      newest: newestOf(group.newest),
    }));
}

const newestOf = (failure: FailureRow): Now["failures"][number]["newest"] => {
  const { last_state: _lastState, at, ...row } = failure;
  return { ...row, at: at.toISOString() };
};

/** The planned run and those that its timetable gives after it until the end of the hour. */
function timesOf(dag: DueDagRow, untilMs: number): string[] {
  const times = [dag.at.getTime()];
  const { timetable, next_interval_start: start, next_interval_end: end } = dag;
  let last =
    start === null || end === null
      ? undefined
      : { start_ms: start.getTime(), end_ms: end.getTime() };
  // `continuous` comes when the one before it has ended, which nobody knows.
  while (last !== undefined && timetable.kind !== "continuous" && times.length < timesMax) {
    const planned = nextRun({ timetable, catchup: true, last, nowMs: untilMs });
    if (planned === undefined || planned.run_after_ms > untilMs) break;
    if (planned.run_after_ms <= (times.at(-1) ?? 0)) break;
    times.push(planned.run_after_ms);
    last = { start_ms: planned.interval_start_ms, end_ms: planned.interval_end_ms };
  }
  return times.map((at) => new Date(at).toISOString());
}
