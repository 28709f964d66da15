/** The DAG page's answers: cells in bytes, structure by version, trends, facts, versions; and what strangers are told. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiStage, type PersonName, type Stage } from "../../test/kit/api-stage.ts";
import { type GridPlanes, readGrid, stateOfCode } from "../model/grid-matrix.ts";
import type { GridHead, GridShape } from "./ui/grid.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openApiStage();
});
afterAll(() => stage.close());

async function grid(
  address: string,
  who: PersonName = "ann",
): Promise<{ readonly head: GridHead; readonly planes: GridPlanes }> {
  const response = await stage.api.fetch(
    new Request(`http://localhost:8080${address}`, {
      headers: { authorization: `Bearer ${stage.tokens[who]}` },
    }),
  );
  expect(response.status).toBe(200);
  const read = readGrid(await response.arrayBuffer(), (raw) => raw as GridHead);
  if (!read.ok) throw new Error(read.problem);
  return read.value;
}
const base = "/t/acme/api/ui/dags/payroll";

test("the cells lie over the structure, run by run, newest first; mapped tasks are summed", async () => {
  const { head, planes } = await grid(`${base}/grid?times=true`);
  const shape = (
    await stage.ask(
      "ann",
      "GET",
      `${base}/grid/${head.structure.key}?versions=${head.structure.versions.join(",")}`,
    )
  ).body as GridShape;
  expect(shape.tasks.map(({ id, mapped }) => [id, mapped])).toEqual([
    ["extract", false],
    ["load", true],
  ]);
  expect(head.runs.map(({ run_id }) => run_id)).toEqual(["r2", "r1"]);
  const r1 = head.runs.findIndex(({ run_id }) => run_id === "r1");
  expect(stateOfCode(planes.states[r1 * 2] ?? 0)).toBe("success");
  expect(planes.ran?.[r1 * 2]).toBe(3);
  const [counts] = [planes.counts.get(r1 * 2 + 1)];
  expect([...(counts?.values() ?? [])].reduce((sum, count) => sum + count, 0)).toBe(2);
});

test("a structure is kept by its key for good, and another key is not answered", async () => {
  const { head } = await grid(`${base}/grid`);
  const address = `${base}/grid/${head.structure.key}?versions=${head.structure.versions.join(",")}`;
  const first = await stage.ask("ann", "GET", address);
  expect(first.headers.get("cache-control")).toContain("immutable");
  const again = await stage.ask("ann", "GET", address, undefined, {
    "if-none-match": first.headers.get("etag") ?? "",
  });
  expect(again.status).toBe(304);
  const wrong = await stage.ask("ann", "GET", `${base}/grid/other?versions=1`);
  expect(wrong.status).toBe(404);
});

test("older runs come by cursor, one run by its name, filters by type and state", async () => {
  const { head } = await grid(`${base}/grid?limit=1`);
  expect(head.runs.map(({ run_id }) => run_id)).toEqual(["r2"]);
  const older = await grid(`${base}/grid?limit=1&before=${encodeURIComponent(head.older ?? "")}`);
  expect(older.head.runs.map(({ run_id }) => run_id)).toEqual(["r1"]);
  expect(older.head.older).toBeNull();
  const one = await grid(`${base}/grid?run_id=r1&versions=${head.structure.versions.join(",")}`);
  expect(one.head.runs.map(({ run_id }) => run_id)).toEqual(["r1"]);
  expect(one.head.structure.key).toBe(head.structure.key);
  const failed = await grid(`${base}/grid?state=failed`);
  expect(failed.head.runs).toEqual([]);
});

test("a run that was over and changes afterwards is read anew", async () => {
  const before = await grid(`${base}/grid`);
  const r1 = before.head.runs.findIndex(({ run_id }) => run_id === "r1");
  await stage.database.owner`
    with marked as (
      update airlock.task_instance t set state = 'failed' from airlock.dag_run r
       where r.tenant = 'acme' and r.dag_id = 'payroll' and r.run_id = 'r1' and t.tenant = r.tenant and t.run = r.run
         and t.task_id = 'extract' returning t.run)
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
    select 'acme', run, 'payroll', 'r1', 'extract', -1, 2, 'success', 'failed' from marked`;
  const after = await grid(`${base}/grid`);
  expect(stateOfCode(before.planes.states[r1 * 2] ?? 0)).toBe("success");
  expect(stateOfCode(after.planes.states[r1 * 2] ?? 0)).toBe("failed");
});

test("head, trends, facts and versions say what there is", async () => {
  const head = await stage.ask("ann", "GET", `${base}/head`);
  expect(head.body).toMatchObject({
    dag_id: "payroll",
    state: "active",
    schedule: expect.stringContaining("06:00") as string,
    last_run: { run_id: "r2" },
    import_error: { path: "dags/payroll.py", line: 3 },
  });
  const trends = await stage.ask("ann", "GET", `${base}/trends?days=366`);
  expect(trends.status).toBe(200);
  const facts = await stage.ask("ann", "GET", `${base}/facts`);
  expect(facts.body).toMatchObject({ params: [{ name: "day" }], tasks: 2, dagrun_timeout_s: 3600 });
  const versions = await stage.ask("ann", "GET", `${base}/versions`);
  expect(versions.body).toMatchObject({
    versions: [{ version: 1, first_run: { run_id: "r1" } }],
    older: null,
  });
});

const addresses = ["head", "grid", "grid/key?versions=1", "trends", "facts", "versions"];

test("strangers, other tenants and readers of other DAGs are told that there is nothing", async () => {
  for (const address of addresses) {
    expect((await stage.ask(undefined, "GET", `${base}/${address}`)).status, address).toBe(401);
    for (const who of ["gil", "nob"] as const)
      expect((await stage.ask(who, "GET", `${base}/${address}`)).status, address).toBe(404);
    const hidden = `/t/acme/api/ui/dags/secret_dag/${address}`;
    expect((await stage.ask("eve", "GET", hidden)).status, address).toBe(404);
    expect((await stage.ask("ann", "GET", hidden)).status, address).toBe(404);
  }
});

test("bad input is refused by name, never a failure of ours", async () => {
  for (const query of [
    "limit=0",
    "limit=101",
    "limit=x",
    "before=x",
    "before=1~2026-99-99 99:99:99%2B00",
    "before=999999999999999999~2026-01-01 00:00:00%2B00",
    "versions=1,,2",
    "versions=99999999999",
    "state=odd",
    "run_type=odd",
    "times=perhaps",
    `run_id=${"x".repeat(300)}`,
    "run_id=%00",
  ]) {
    const { status } = await stage.ask("ann", "GET", `${base}/grid?${query}`);
    expect(status, query).toBeLessThan(500);
  }
  expect((await stage.ask("ann", "GET", `${base}/grid?before=x`)).status).toBe(400);
  expect((await stage.ask("ann", "GET", `${base}/trends?days=0`)).status).toBe(422);
  expect(stage.surprises).toEqual([]);
});
