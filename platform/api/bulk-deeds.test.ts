/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-member-access, typescript/no-unsafe-return -- answers are JSON of any shape here */
/** Deeds on many runs, over a real database; the door plays along and remembers what was asked of it. */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openApiStage, type Stage } from "../../test/kit/api-stage.ts";
import { eventually } from "../../test/kit/house.ts";
import { good } from "../model/answer.ts";
import { type BulkDeeds, runBulkDeeds } from "./bulk-deeds.ts";
import type { RunDeeds } from "./deps.ts";

let stage: Stage;
const servers: BulkDeeds[] = [];
const done: string[] = [];

beforeAll(async () => {
  stage = await openApiStage();
});
afterAll(() => stage.close());
beforeEach(() => {
  done.length = 0;
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

/** A door that does what the real one does with `once`: asks it in a transaction, and does the deed if it says so. */
const start = (stop?: RunDeeds["stopRun"]): BulkDeeds => {
  const server = runBulkDeeds({
    store: stage.store,
    authorizer: stage.deps.authorizer,
    auditKey: stage.deps.auditKey,
    onProblem: () => undefined,
    leaseSeconds: 1,
    runs: {
      ...stage.deps.runs,
      stopRun:
        stop ??
        (async (tenant, { dag_id, run_id, once }) => {
          if ((await stage.store.tx(tenant, async (tx) => once?.(tx))) === true)
            done.push(`${dag_id}/${run_id}`);
          return good(undefined);
        }),
    },
  });
  servers.push(server);
  return server;
};
const path = "/t/acme/api/ui/runs";
const keysOf = async (state = "running"): Promise<string[]> => {
  const { body } = await stage.ask("dan", "GET", `${path}?state=${state}`);
  return (body as { runs: { run: string }[] }).runs.map(({ run }) => run);
};
const create = (
  who: "dan" | "bob" | "eve",
  runs: string[],
  id: string = randomUUID(),
  deed = "stop",
) => stage.ask(who, "POST", `${path}/deeds`, { id, deed, runs });
const makeDue = (id: string) =>
  stage.database.owner`update airlock.bulk_deed set due_at = clock_timestamp() where id = ${id}`;
const ended = (who: "dan" | "eve", id: string) =>
  eventually(async () => {
    const { body } = await stage.ask(who, "GET", `${path}/deeds/${id}`);
    return body.state === "done"
      ? (body as { done: number; failed: number; failures: object[] })
      : undefined;
  });

test("lists page by cursor without a gap, and show nobody what they may not read", async () => {
  const all = await stage.ask("dan", "GET", `${path}?limit=500`);
  const seen: string[] = [];
  let cursor = "";
  do {
    const { body } = await stage.ask("dan", "GET", `${path}?limit=3${cursor}`);
    seen.push(...body.runs.map(({ run }: { run: string }) => run));
    cursor = body.next === null ? "" : `&cursor=${body.next as string}`;
  } while (cursor !== "");
  expect(seen).toEqual(all.body.runs.map(({ run }: { run: string }) => run));
  const eve = await stage.ask("eve", "GET", path);
  expect(new Set(eve.body.runs.map(({ dag_id }: { dag_id: string }) => dag_id))).toEqual(
    new Set(["payroll", "fin_report"]),
  );
  const facets = await stage.ask("eve", "GET", `${path}/facets?state=running`);
  expect(facets.body.total).toBe(2);
  expect(facets.body.facets.state).toEqual([
    { value: "running", count: 2 },
    { value: "success", count: 2 },
  ]);
  expect((await stage.ask("nob", "GET", path)).status).toBe(404);
  expect((await stage.ask("dan", "GET", `${path}?cursor=x`)).status).toBe(422);
});

test("two servers do each run once, with an audit row each; sent twice it is one deed", async () => {
  const id = randomUUID();
  const keys = await keysOf();
  expect((await create("dan", keys, id)).body).toMatchObject({
    state: "waiting",
    total: keys.length,
  });
  expect((await create("dan", keys, id)).body).toMatchObject({ id, total: keys.length });
  await makeDue(id);
  start();
  start();
  expect(await ended("dan", id)).toMatchObject({ done: keys.length, failed: 0 });
  expect(done.toSorted()).toEqual([...new Set(done)].toSorted());
  expect(done).toHaveLength(keys.length);
  const [rows] = await stage.database.owner`
    select count(*)::int as n from airlock.audit where detail ->> 'bulk' = ${id} and detail ->> 'run_id' is not null and outcome = 'done'`;
  expect(rows?.["n"]).toBe(keys.length);
});

test("taken back it is never done, begun it cannot be taken back, and it is nobody else's", async () => {
  const id = randomUUID();
  await create("dan", await keysOf(), id);
  expect((await stage.ask("cat", "POST", `${path}/deeds/${id}/take-back`)).status).toBe(404);
  expect((await stage.ask("dan", "POST", `${path}/deeds/${id}/take-back`)).body.state).toBe(
    "taken_back",
  );
  await makeDue(id);
  const other = randomUUID();
  await create("dan", await keysOf(), other);
  await makeDue(other);
  start();
  await ended("dan", other);
  expect((await stage.ask("dan", "GET", `${path}/deeds/${id}`)).body).toMatchObject({
    state: "taken_back",
    done: 0,
  });
  const late = await stage.ask("dan", "POST", `${path}/deeds/${other}/take-back`);
  expect([late.status, late.body.detail]).toEqual([409, "It is done already"]);
});

test("a right that is gone when its turn comes stops that run, with the reason", async () => {
  const id = randomUUID();
  const { body } = await stage.ask("eve", "POST", `${path}/deeds/preview`, {
    deed: "stop",
    filter: {},
  });
  expect(body.runs).toHaveLength(1);
  expect(body.cannot.map(({ why }: { why: string }) => why)).toContain(
    "You may not do this on their DAG",
  );
  await create("eve", body.runs, id);
  await stage.database
    .owner`delete from airlock.grant_rule where subject = 'user:eve' and thing = 'dag:payroll'`;
  await stage.database.owner`update airlock.tenant set policy_version = policy_version + 1`;
  await makeDue(id);
  start();
  await eventually(async () => {
    const [row] = await stage.database.owner`select state from airlock.bulk_deed where id = ${id}`;
    return row?.["state"] === "done" ? true : undefined;
  });
  expect(done).toEqual([]);
  const [run] = await stage.database
    .owner`select state, reason from airlock.bulk_deed_run where id = ${id}`;
  expect(run).toEqual({
    state: "failed",
    reason: "The right to do this on its DAG was taken away",
  });
});

test("what a server left in the middle, another one ends, each run once", async () => {
  const id = randomUUID();
  const keys = await keysOf();
  await create("dan", keys, id);
  // Its server did the first and was gone: the lease of nobody there runs out.
  await stage.database
    .owner`update airlock.bulk_deed_run set state = 'done' where id = ${id} and n = 1`;
  await stage.database.owner`
    update airlock.bulk_deed set state = 'running', due_at = clock_timestamp(), lease_owner = ${randomUUID()},
           lease_until = clock_timestamp() + interval '300 ms' where id = ${id}`;
  start();
  expect(await ended("dan", id)).toMatchObject({ done: keys.length, failed: 0 });
  expect(done).toHaveLength(keys.length - 1);
});
