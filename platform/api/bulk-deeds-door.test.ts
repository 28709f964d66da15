/** Deeds on many runs at the real door: what is written with a deed is written once, whoever does it, whenever one dies. */
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openAuthorizer } from "../../policies/authz/authorizer.ts";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { eventually } from "../../test/kit/house.ts";
import { openRunStage, type RunStage } from "../../test/kit/run-stage.ts";
import { known, type RunKey } from "../model/ids.ts";
import { addBulkDeed, type BulkDeedKind } from "../store/bulk-deeds.ts";
import { addPerson, getPerson } from "../store/people.ts";
import { type BulkDeeds, runBulkDeeds } from "./bulk-deeds.ts";
import type { RunDeeds } from "./deps.ts";

let stage: RunStage;
const servers: BulkDeeds[] = [];

beforeAll(async () => {
  stage = await openRunStage();
});
afterAll(() => stage.closeAll());
beforeEach(async () => {
  await stage.reset();
  await stage.deploy(dag);
  await stage.store.system(async (tx) => {
    if ((await getPerson(tx, "dan")) === undefined)
      await addPerson(tx, { name: "dan", password: null });
  });
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  await stage.mustHaveKept();
});

const dag = dagSpec([{ task_id: "a", downstream: ["b"] }, { task_id: "b" }], {
  dag_id: known.dag("line"),
  max_active_runs: 100,
});
const authorizer = openAuthorizer(
  {
    versionOf: () => Promise.resolve("1"),
    load: () =>
      Promise.resolve({
        version: "1",
        tenant: {
          rules: [{ subject: "user:dan", thing: "*", deed: "*", effect: "allow" }],
          assignments: [],
        },
        platform: { rules: [], assignments: [] },
      }),
  },
  { trustMs: 0 },
);
const serve = (runs: RunDeeds, leaseSeconds = 1): BulkDeeds => {
  const server = runBulkDeeds({
    store: stage.store,
    authorizer,
    auditKey: randomBytes(32),
    onProblem: () => undefined,
    leaseSeconds,
    runs,
  });
  servers.push(server);
  return server;
};
const triggered = async (count: number): Promise<RunKey[]> => {
  const runs: RunKey[] = [];
  for (let i = 0; i < count; i += 1) runs.push(await stage.trigger("line"));
  return runs;
};
const ask = async (deed: BulkDeedKind, runs: readonly RunKey[]): Promise<string> => {
  const id = randomUUID();
  const rows = await stage.database.owner<{ run: string; dag_id: string; run_id: string }[]>`
    select run::text, dag_id, run_id from airlock.dag_run where run = any(${runs as unknown as string[]}::bigint[]) order by run`;
  await stage.store.tx(stage.tenant, (tx) =>
    addBulkDeed(tx, {
      id,
      actor: "user:dan",
      onlyTenant: undefined,
      scopes: undefined,
      ip: "::1",
      deed,
      latest: false,
      waitSeconds: 0,
      runs: rows,
    }),
  );
  return id;
};
const isDone = (id: string) =>
  eventually(async () => {
    const [row] = await stage.database.owner`select state from airlock.bulk_deed where id = ${id}`;
    return row?.["state"] === "done" ? true : undefined;
  });
const marksOf = async (id: string): Promise<(string | null)[]> =>
  (
    await stage.database.owner<{ state: string; reason: string | null }[]>`
      select state, reason from airlock.bulk_deed_run where id = ${id} order by n`
  ).map(({ state, reason }) => (state === "done" ? "done" : reason));
/** How often a run was given this state. */
const timesIn = async (run: RunKey, state: string): Promise<number> => {
  const [row] = await stage.database.owner<{ n: number }[]>`
    select count(*)::int as n from airlock.change where run = ${run} and task_id = '' and to_state = ${state}`;
  return row?.n ?? 0;
};

test("each deed is done at the door with its mark; where there is nothing to do it says why", async () => {
  const [one, two, three] = (await triggered(3)) as [RunKey, RunKey, RunKey];
  const stop = await ask("stop", [one, two]);
  serve(stage.deeds);
  await isDone(stop);
  expect(await marksOf(stop)).toEqual(["done", "done"]);
  expect((await stage.runState(one)).state).toBe("failed");
  const again = await ask("stop", [one, three]);
  servers[0]?.wake();
  await isDone(again);
  expect(await marksOf(again)).toEqual([expect.stringMatching(/has ended already/), "done"]);
  const clear = await ask("clear", [one]);
  servers[0]?.wake();
  await isDone(clear);
  expect(await marksOf(clear)).toEqual(["done"]);
  expect((await stage.runState(one)).state).toBe("queued");
  const mark = await ask("mark_success", [one, two]);
  servers[0]?.wake();
  await isDone(mark);
  expect(await marksOf(mark)).toEqual(["done", "done"]);
  expect((await stage.runState(two)).state).toBe("success");
  const gone = await ask("delete", [one, two, three]);
  servers[0]?.wake();
  await isDone(gone);
  expect(await marksOf(gone)).toEqual(["done", "done", "done"]);
  expect(await stage.count("dag_run")).toBe(0);
});

test("whoever is told 'not any more' does nothing: no state, no change, no removal", async () => {
  const [open, ended] = (await triggered(2)) as [RunKey, RunKey];
  await stage.advance(ended, [{ kind: "run_marked", state: "failed", reason: "stopped" }]);
  const before = await stage.database.owner`select * from airlock.change order by seq`;
  const [rows] = [
    await stage.database.owner<{ run: string; run_id: string }[]>`
      select run::text, run_id from airlock.dag_run order by run`,
  ];
  const once = (): Promise<boolean> => Promise.resolve(false);
  const at = (i: number) => ({ dag_id: "line", run_id: rows[i]?.run_id ?? "", user: "dan", once });
  await stage.deeds.stopRun(stage.tenant, at(0));
  await stage.deeds.markRun(stage.tenant, { ...at(0), state: "success" });
  await stage.deeds.deleteRun(stage.tenant, at(1));
  await stage.deeds.clearInstances(stage.tenant, {
    ...at(1),
    run_ids: [at(1).run_id],
    start_date: undefined,
    end_date: undefined,
    tasks: undefined,
    include_upstream: false,
    include_downstream: false,
    include_past: false,
    include_future: false,
    only_failed: false,
    only_running: false,
    reset_dag_runs: true,
    prevent_running_task: false,
    run_on_latest_version: false,
    dry_run: false,
  });
  expect(await stage.database.owner`select * from airlock.change order by seq`).toEqual(before);
  expect((await stage.runState(open)).state).toBe("running");
  expect((await stage.runState(ended)).state).toBe("failed");
});

test("a deed and its mark are one: when the mark's transaction breaks, the run was not touched", async () => {
  const [run] = (await triggered(1)) as [RunKey];
  const [row] = await stage.database.owner<
    { run_id: string }[]
  >`select run_id from airlock.dag_run`;
  const stopped = stage.deeds.stopRun(stage.tenant, {
    dag_id: "line",
    run_id: row?.run_id ?? "",
    user: "dan",
    once: async (tx) => {
      await tx`insert into airlock.bulk_deed_run (tenant, id, n, run, dag_id, run_id) values (${stage.tenant}, ${randomUUID()}, 1, 1, 'x', 'x')`;
      return true;
    },
  });
  await expect(stopped).rejects.toThrow(/foreign key/);
  expect((await stage.runState(run)).state).toBe("running");
});

test("a server that dies in the middle, after a deed and before its answer, is followed by another: each run once", async () => {
  const runs = await triggered(8);
  const id = await ask("clear", runs);
  for (const run of runs)
    await stage.advance(run, [{ kind: "run_marked", state: "failed", reason: "stopped" }]);
  const before = new Map<RunKey, number>();
  for (const run of runs) before.set(run, await timesIn(run, "queued"));
  // The first server does three of them, and of each hears no answer any more: it hangs, as one whose process is gone.
  let begun = 0;
  const dying: RunDeeds = {
    ...stage.deeds,
    async clearInstances(...given) {
      begun += 1;
      if (begun > 3) return new Promise(() => undefined);
      await stage.deeds.clearInstances(...given);
      return new Promise(() => undefined);
    },
  };
  const dead = runBulkDeeds({
    // Its beats do not arrive either.
    store: {
      ...stage.store,
      tx: (tenant, work, ...rest) =>
        begun > 0 ? new Promise(() => undefined) : stage.store.tx(tenant, work, ...rest),
    },
    authorizer,
    auditKey: randomBytes(32),
    onProblem: () => undefined,
    leaseSeconds: 1,
    runs: dying,
  });
  void dead;
  await eventually(async () =>
    (await marksOf(id)).filter((mark) => mark === "done").length === 3 ? true : undefined,
  );
  const other = stage.another();
  serve(other.deeds);
  await isDone(id);
  expect(await marksOf(id)).toEqual(Array.from({ length: 8 }, () => "done"));
  for (const run of runs) {
    expect((await stage.runState(run)).state).toBe("queued");
    expect((await timesIn(run, "queued")) - (before.get(run) ?? 0)).toBe(1);
  }
  const [audits] = await stage.database.owner`
    select count(*)::int as n, count(distinct detail ->> 'run_id')::int as runs from airlock.audit where detail ->> 'bulk' = ${id}`;
  expect(audits).toEqual({ n: 8, runs: 8 });
});
