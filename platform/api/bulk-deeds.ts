/**
 * Does deeds on many runs, one run after the other, on whichever server is free.
 *
 *   asleep ──due, or asked for──► claim one (lease) ─► each run: right? → the deed, its mark and its audit row in one
 *   transaction ─► done ──► asleep
 *
 * A server that dies leaves a lease that runs out; another goes on with the runs that are not marked. Since the mark
 * is written with the deed itself, under the run's lock, no run gets it twice.
 */
import { randomUUID } from "node:crypto";
import type { Asker, Authorizer } from "../../policies/authz/authorizer.ts";
import type { Deed } from "../model/access.ts";
import type { Answer } from "../model/answer.ts";
import { addAudit } from "../store/audit.ts";
import {
  type BulkDeedKind,
  type BulkDeedRow,
  type BulkDeedRun,
  claimBulkDeed,
  endBulkDeed,
  endBulkDeedRun,
  listBulkDeedRuns,
  nextBulkDeedMs,
  renewBulkDeed,
} from "../store/bulk-deeds.ts";
import { addNotice } from "../store/changes.ts";
import type { MeantRun } from "../store/explore-runs.ts";
import { isAway, type Store } from "../store/open.ts";
import { getPerson } from "../store/people.ts";
import { getTenant } from "../store/tenants.ts";
import type { DeedProblem, Once, RunDeeds } from "./deps.ts";

/** The channel that wakes the servers: one was asked for. */
export const bulkWake = "airlock_bulk";

/** The right that each run's DAG must give. */
export const rightOf: Readonly<Record<BulkDeedKind, Deed>> = {
  clear: "run.clear",
  clear_failed: "run.clear",
  mark_success: "task.mark",
  mark_failed: "task.mark",
  stop: "task.mark",
  delete: "run.delete",
};

/** Why the deed would do nothing, or must not be done, on this run; undefined: it can be done. */
export function cannotBecause(
  deed: BulkDeedKind,
  run: Pick<MeantRun, "state" | "instances" | "failed">,
): string | undefined {
  const isOpen = run.state === "running" || run.state === "queued";
  switch (deed) {
    case "clear":
      return run.instances === 0 ? "They have no task instances yet" : undefined;
    case "clear_failed":
      return run.failed === 0 ? "They have no failed task instances" : undefined;
    case "mark_success":
      return run.state === "success" ? "They are successful already" : undefined;
    case "mark_failed":
      return run.state === "failed" ? "They have failed already" : undefined;
    case "stop":
      return isOpen ? undefined : "They have ended already";
    case "delete":
      return run.state === "running" ? "They are running: stop them first" : undefined;
  }
}

export type BulkDeedsDeps = {
  readonly store: Store;
  readonly runs: RunDeeds;
  readonly authorizer: Authorizer;
  readonly auditKey: Buffer;
  readonly onProblem: (message: string, error: unknown) => void;
  /** After it, another server takes a deed up whose server is silent. */
  readonly leaseSeconds?: number;
};

export type BulkDeeds = {
  /** One may be due earlier than it sleeps. */
  wake(): void;
  /** Leaves what it does at the next run; another server, or the next start, goes on. */
  stop(): Promise<void>;
};

const sleepMaxMs = 30_000;
const chunk = 100;
const side = 4;
const noticeEveryMs = 300;

export function runBulkDeeds(deps: BulkDeedsDeps): BulkDeeds {
  const { store } = deps;
  const owner = randomUUID();
  const leaseSeconds = deps.leaseSeconds ?? 15;
  const state = { stopped: false, woken: false };
  let wakeUp: (() => void) | undefined;

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (state.woken || state.stopped) {
        resolve();
        return;
      }
      const timer = setTimeout(resolve, ms);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const wake = (): void => {
    state.woken = true;
    wakeUp?.();
  };

  const turn = async (): Promise<number> => {
    while (!state.stopped) {
      const deed = await store.system((tx) => claimBulkDeed(tx, owner, leaseSeconds));
      if (deed === undefined) break;
      await perform(deps, deed, owner, leaseSeconds, () => state.stopped);
    }
    const next = await store.system(nextBulkDeedMs);
    return Math.min(sleepMaxMs, Math.max(0, Math.ceil(next ?? sleepMaxMs)));
  };
  const loop = async (): Promise<void> => {
    while (!state.stopped) {
      state.woken = false;
      let waitMs = 1_000;
      try {
        waitMs = await turn();
      } catch (error) {
        deps.onProblem("deeds on many runs do not go on; trying again", error);
      }
      await sleep(waitMs);
    }
  };
  const running = loop();
  return {
    wake,
    async stop() {
      state.stopped = true;
      wake();
      await running;
    },
  };
}

async function perform(
  deps: BulkDeedsDeps,
  deed: BulkDeedRow,
  owner: string,
  leaseSeconds: number,
  isStopped: () => boolean,
): Promise<void> {
  const { store } = deps;
  const { tenant, id } = deed;
  const mine = { held: true };
  const beat = setInterval(
    () => {
      store
        .tx(tenant, (tx) => renewBulkDeed(tx, id, owner, leaseSeconds))
        .then(
          (held) => {
            mine.held &&= held;
          },
          () => undefined,
        );
    },
    (leaseSeconds * 1_000) / 3,
  );
  let toldMs = 0;
  const tell = async (): Promise<void> => {
    if (performance.now() - toldMs < noticeEveryMs) return;
    toldMs = performance.now();
    await store.tx(tenant, (tx) => addNotice(tx, tenant, "bulk"));
  };
  try {
    await tell();
    for (let after = 0; ; ) {
      const waiting = await store.tx(tenant, (tx) =>
        listBulkDeedRuns(tx, id, "waiting", after, chunk),
      );
      const last = waiting.at(-1);
      if (last === undefined) break;
      const left = waiting.values();
      const work = async (): Promise<void> => {
        for (const run of left) {
          if (isStopped() || !mine.held) return;
          await doOne(deps, deed, owner, run);
          await tell();
        }
      };
      const sides = await Promise.allSettled(Array.from({ length: side }, work));
      for (const one of sides) if (one.status === "rejected") throw one.reason;
      if (isStopped() || !mine.held) return;
      after = last.n;
    }
    await store.tx(tenant, async (tx) => {
      if (await endBulkDeed(tx, id, owner)) await addNotice(tx, tenant, "bulk");
    });
  } finally {
    clearInterval(beat);
  }
}

async function doOne(
  deps: BulkDeedsDeps,
  deed: BulkDeedRow,
  owner: string,
  run: BulkDeedRun,
): Promise<void> {
  const { store } = deps;
  const { tenant, id } = deed;
  const right = rightOf[deed.deed];
  const audit = {
    tenant,
    actor: deed.actor,
    ip: deed.ip,
    deed: right,
    thing: `dag:${run.dag_id}`,
    detail: { run_id: run.run_id, bulk: id, deed: deed.deed },
  };
  const once: Once = async (tx) => {
    if (!(await endBulkDeedRun(tx, id, owner, run.n, "done", null))) return false;
    await addAudit(tx, deps.auditKey, { ...audit, outcome: "done" });
    return true;
  };
  const fail = (reason: string, outcome: "refused" | "failed"): Promise<void> =>
    store.tx(tenant, async (tx) => {
      if (await endBulkDeedRun(tx, id, owner, run.n, "failed", reason))
        await addAudit(tx, deps.auditKey, { ...audit, outcome });
    });

  const asker = await askerOf(deps, deed);
  if (typeof asker === "string") return fail(asker, "refused");
  // Asked for each run, not once: a right that is taken away meanwhile counts from then on.
  const rights = await deps.authorizer.rightsIn(tenant);
  if (!rights.can(asker, right, `dag:${run.dag_id}`))
    return fail("The right to do this on its DAG was taken away", "refused");
  try {
    const answer = await act(deps.runs, deed, run, asker.name, once);
    if (!answer.ok) return await fail(answer.problem.message, "failed");
    // Nothing was there to be done; where it was done, its mark is there and this changes nothing.
    return await fail("There was nothing to do any more: it changed meanwhile", "failed");
  } catch (error) {
    if (isAway(error)) throw error;
    deps.onProblem("a deed on many runs failed on one of them", error);
    return fail("It failed unexpectedly; see the server's log", "failed");
  }
}

function act(
  runs: RunDeeds,
  { tenant, deed, latest }: BulkDeedRow,
  { dag_id, run_id }: BulkDeedRun,
  user: string,
  once: Once,
): Promise<Answer<unknown, DeedProblem>> {
  switch (deed) {
    case "clear":
    case "clear_failed":
      return runs.clearInstances(tenant, {
        dag_id,
        run_ids: [run_id],
        start_date: undefined,
        end_date: undefined,
        tasks: undefined,
        include_upstream: false,
        include_downstream: false,
        include_past: false,
        include_future: false,
        only_failed: deed === "clear_failed",
        only_running: false,
        reset_dag_runs: true,
        prevent_running_task: false,
        run_on_latest_version: latest,
        dry_run: false,
        user,
        once,
      });
    case "mark_success":
    case "mark_failed":
      return runs.markRun(tenant, {
        dag_id,
        run_id,
        state: deed === "mark_success" ? "success" : "failed",
        user,
        once,
      });
    case "stop":
      return runs.stopRun(tenant, { dag_id, run_id, user, once });
    case "delete":
      return runs.deleteRun(tenant, { dag_id, run_id, user, once });
  }
}

/** Who asked for it, as they are now; a sentence if nobody may act for them any more. */
async function askerOf(deps: BulkDeedsDeps, deed: BulkDeedRow): Promise<Asker | string> {
  const name = deed.actor.replace(/^user:/, "");
  const [person, tenant] = await deps.store.system((tx) =>
    Promise.all([getPerson(tx, name), getTenant(tx, deed.tenant)]),
  );
  if (tenant?.state !== "active") return `The tenant ${deed.tenant} is suspended`;
  if (person?.state !== "active") return `${name} is not active any more`;
  return {
    subject: deed.actor,
    name,
    groups: person.groups.map((group) => `group:${group}`),
    ...(deed.only_tenant === null ? {} : { onlyTenant: deed.only_tenant }),
    ...(deed.scopes === null ? {} : { scopes: deed.scopes }),
  };
}
