/** A database with one tenant and a door in front of it: what tests of runs need, with the worker's part played by hand. */
import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { compileDag } from "../../platform/engine/compile-dag.ts";
import type { DagSpec } from "../../platform/model/dag-spec.ts";
import { type AttemptId, known, type RunKey, type TenantId } from "../../platform/model/ids.ts";
import type { RunEvent } from "../../platform/model/run.ts";
import {
  type Answered,
  type Door,
  type Knock,
  openDoor,
  type StoppedAttempt,
} from "../../platform/runs/advance-run.ts";
import { type Created, createRun, type NewRun } from "../../platform/runs/create-run.ts";
import { type DagCache, openDagCache } from "../../platform/runs/dag-cache.ts";
import { openDeeds, type RunDeeds } from "../../platform/runs/deeds.ts";
import { type Claimed, claimAttempt } from "../../platform/store/claim.ts";
import { checkInvariants } from "../../platform/store/invariants.ts";
import { openStore, type Store } from "../../platform/store/open.ts";
import { openDatabase, type TestDatabase } from "./database.ts";

export type OpenedDoor = {
  readonly store: Store;
  readonly door: Door;
  readonly deeds: RunDeeds;
  readonly dags: DagCache & { forget(): void };
  readonly stops: StoppedAttempt[];
  readonly problems: unknown[];
  readonly runsEnded: string[];
  readonly timers: number[];
  close(): Promise<void>;
};

export type RunStage = OpenedDoor & {
  readonly database: TestDatabase;
  readonly tenant: TenantId;
  readonly worker: string;
  /** A second process, as far as the database can tell. */
  another(url?: string, wrap?: (store: Store) => Store): OpenedDoor;
  /** Everything away but the schema; one tenant with a default pool of 128. */
  reset(): Promise<void>;
  deploy(spec: DagSpec, more?: { max_active_runs?: number; next_run_at?: Date }): Promise<void>;
  create(dagId: string, more?: Partial<NewRun>, by?: OpenedDoor): Promise<Created>;
  trigger(dagId: string, more?: Partial<NewRun>): Promise<RunKey>;
  claim(attempt: AttemptId, worker?: string): Promise<Claimed | undefined>;
  claimNext(run: RunKey, worker?: string): Promise<Claimed>;
  finish(claimed: Claimed, how?: Finish, by?: OpenedDoor): Promise<Answered>;
  advance(run: RunKey, events: readonly RunEvent[], by?: OpenedDoor): Promise<Answered>;
  states(run: RunKey): Promise<Record<string, string | null>>;
  runState(run: RunKey): Promise<{ state: string; reason: string | null }>;
  count(what: "permit" | "attempt" | "timer" | "xcom" | "dag_run"): Promise<number>;
  /** Airlock's promises about rows, as SQL; the names of those that are broken. */
  brokenPromises(): Promise<string[]>;
  /** Throws with the names of the broken ones, and if a door had a problem. */
  mustHaveKept(): Promise<void>;
  closeAll(): Promise<void>;
};

/** What is alike in all runs that a test makes by hand. */
export const manualRun = {
  run_type: "manual",
  logical_date: null,
  interval_start: null,
  interval_end: null,
  run_after: "2026-01-01T00:00:00Z",
  conf: {},
  triggered_by: "test",
  triggering_user: null,
  note: null,
} as const satisfies Omit<NewRun, "dag_id" | "run_id">;

export type Finish = {
  readonly kind?: "succeeded" | "failed" | "stopped";
  readonly wish?: boolean | { hops: number; ms: number };
  readonly fence?: number;
  readonly worker?: string;
  readonly xcom?: string | null;
  readonly retryable?: boolean;
};

export const openRunStage = async (): Promise<RunStage> => stageOn(await openDatabase());

/** On a server of the test's own, which it may stop. */
export function openRunStageOn(url: string): RunStage {
  const owner = postgres(url, { max: 2, onnotice: () => undefined });
  return stageOn({ url, owner, drop: () => owner.end({ timeout: 2 }) });
}

function stageOn(database: TestDatabase): RunStage {
  const tenant = known.tenant("acme");
  const worker = randomUUID();
  const doors: OpenedDoor[] = [];
  const another: RunStage["another"] = (url = database.url, wrap = (store) => store) => {
    const opened = openOne(wrap(openStore(url)));
    doors.push(opened);
    return opened;
  };
  const first = another();
  const { owner } = database;

  const stage: RunStage = {
    ...first,
    database,
    tenant,
    worker,
    another,
    async reset() {
      await first.door.settle();
      for (const list of [first.stops, first.problems, first.runsEnded, first.timers])
        list.length = 0;
      for (const table of [
        "bulk_deed",
        "change",
        "log_chunk",
        "dag_run",
        "dag_version",
        "dag",
        "pool",
        "tenant",
        "worker",
      ])
        await owner`delete from ${owner(`airlock.${table}`)}`;
      await owner`delete from graphile_worker._private_jobs`;
      await owner`insert into airlock.tenant (tenant) values (${tenant})`;
      await owner`insert into airlock.pool (tenant, pool, slots) values (${tenant}, 'default_pool', 128)`;
    },
    async deploy(spec, more = {}) {
      compileDag(spec);
      await owner`
        insert into airlock.dag (tenant, dag_id, repository, path, version, commit, environment, display_name, level, timetable,
               max_active_runs, max_active_tasks)
        values (${tenant}, ${spec.dag_id}, 'main', 'dags/x.py', 1, 'c', 'default', ${spec.dag_id}, ${spec.level},
                ${JSON.stringify(spec.timetable)}::text::jsonb, ${more.max_active_runs ?? spec.max_active_runs}, ${spec.max_active_tasks})`;
      await owner`
        insert into airlock.dag_version (tenant, dag_id, version, hash, spec, repository, path, commit)
        values (${tenant}, ${spec.dag_id}, 1, ${randomUUID()}, ${JSON.stringify(spec)}::text::json, 'main', 'dags/x.py', 'c')`;
      // Version numbers begin anew after a reset: what the caches know of the last test's DAG is not this one.
      for (const opened of doors) opened.dags.forget();
    },
    create: (dagId, more = {}, by = first) =>
      createRun(by, tenant, {
        dag_id: known.dag(dagId),
        run_id: known.run(`manual__${randomUUID()}`),
        ...manualRun,
        ...more,
      }),
    async trigger(dagId, more) {
      const created = await stage.create(dagId, more);
      if (created.kind !== "created") throw new Error(`not created: ${created.kind}`);
      return created.run;
    },
    claim: (attempt, by = worker) => claimAttempt(first.store, tenant, attempt, by, 15),
    async claimNext(run, by) {
      const [row] = await owner<{ attempt: AttemptId }[]>`
        select attempt from airlock.attempt where run = ${run} and state = 'admitted' order by admitted_at, task_id, map_index limit 1`;
      if (row === undefined) throw new Error("nothing is admitted");
      const claimed = await stage.claim(row.attempt, by);
      if (claimed === undefined) throw new Error("the claim found nothing");
      return claimed;
    },
    finish: (claimed, how = {}, by = first) =>
      by.door.advance({ tenant, run: claimed.run }, knockOf(claimed, how, worker)),
    advance: (run, events, by = first) =>
      by.door.advance(
        { tenant, run },
        { kind: "deed", why: "test", plan: () => Promise.resolve(events) },
      ),
    async states(run) {
      const rows = await owner<{ task_id: string; map_index: number; state: string | null }[]>`
        select task_id, map_index, state from airlock.task_instance where run = ${run} order by 1, 2`;
      return Object.fromEntries(
        rows.map((row) => [
          row.map_index < 0 ? row.task_id : `${row.task_id}[${row.map_index}]`,
          row.state,
        ]),
      );
    },
    async runState(run) {
      const [row] = await owner<{ state: string; reason: string | null }[]>`
        select state, reason from airlock.dag_run where run = ${run}`;
      if (row === undefined) throw new Error("no such run");
      return row;
    },
    async count(what) {
      const [row] = await owner<{ n: number }[]>`
        select count(*)::int as n from ${owner(`airlock.${what}`)} where tenant = ${tenant}`;
      return row?.n ?? 0;
    },
    brokenPromises: () => brokenPromises(database),
    async mustHaveKept() {
      const broken = await brokenPromises(database);
      if (broken.length > 0) throw new Error(`broken: ${broken.join("; ")}`);
      const [problem] = doors.flatMap((opened) => opened.problems);
      if (problem !== undefined) throw new Error("a door had a problem", { cause: problem });
    },
    async closeAll() {
      for (const opened of doors) await opened.close();
      await database.drop();
    },
  };
  return stage;
}

function openOne(store: Store): OpenedDoor {
  let cache = openDagCache();
  const dags = {
    known: (...at: Parameters<DagCache["known"]>) => cache.known(...at),
    get: (...at: Parameters<DagCache["get"]>) => cache.get(...at),
    forget() {
      cache = openDagCache();
    },
  };
  const stops: StoppedAttempt[] = [];
  const problems: unknown[] = [];
  const runsEnded: string[] = [];
  const timers: number[] = [];
  const door = openDoor({
    store,
    dags,
    leaseSeconds: 15,
    changed: () => undefined,
    stopped: (found) => stops.push(...found),
    timerSet: (dueMs) => timers.push(dueMs),
    runEnded: (_tenant, dagId, state) => runsEnded.push(`${dagId} ${state}`),
    onProblem: (message, error) => problems.push(new Error(message, { cause: error })),
  });
  const deeds = openDeeds({ store, door, dags, scheduleChanged: () => undefined });
  return {
    store,
    door,
    deeds,
    dags,
    stops,
    problems,
    runsEnded,
    timers,
    async close() {
      await door.settle();
      await store.close();
    },
  };
}

export function knockOf(claimed: Claimed, how: Finish, worker: string): Knock {
  const ref = {
    task_id: claimed.task_id,
    map_index: claimed.map_index,
    try_number: claimed.try_number,
  };
  const kind = how.kind ?? "succeeded";
  return {
    kind: "attempt",
    holder: {
      attempt: claimed.attempt,
      fence: how.fence ?? claimed.fence,
      worker: how.worker ?? worker,
    },
    event:
      kind === "failed"
        ? {
            kind: "attempt_failed",
            ...ref,
            retryable: how.retryable ?? true,
            reason: "ValueError: no",
          }
        : kind === "stopped"
          ? { kind: "attempt_stopped", ...ref }
          : { kind: "attempt_succeeded", ...ref },
    ended: {
      outcome: kind === "succeeded" ? "success" : kind,
      cpu_s: 0.1,
      peak_memory: 1,
      start_ms: 1,
      log_bytes: 0,
    },
    xcoms:
      how.xcom === null
        ? []
        : [
            {
              task_id: claimed.task_id,
              map_index: claimed.map_index,
              key: "return_value",
              value: how.xcom ?? '{"n":1}',
              object: null,
              bytes: 7,
            },
          ],
    hint: { dag_id: claimed.at.dag_id, version: claimed.at.version },
    ...(how.wish === undefined || how.wish === false
      ? {}
      : {
          wish: {
            pool: "default_pool",
            pool_slots: 1,
            queue: "default",
            guest: "python" as const,
            ...(how.wish === true ? { hops: 0, ms: 0 } : how.wish),
          },
        }),
  };
}

/** The house's own invariants, and what holds where nobody makes a pool smaller under what runs. */
async function brokenPromises({ owner, url }: TestDatabase): Promise<string[]> {
  const broken = (await checkInvariants(url))
    .filter(({ ok }) => !ok)
    .map(({ id, sentence, rows }) => `${id} ${sentence} ${JSON.stringify(rows[0])}`);
  const over = await owner`
    select 1 from airlock.pool o where o.slots >= 0 and o.slots <
      (select coalesce(sum(slots), 0) from airlock.permit p where p.tenant = o.tenant and p.pool = o.pool)`;
  return over.length === 0 ? broken : [...broken, "no more in a pool than it has slots"];
}
