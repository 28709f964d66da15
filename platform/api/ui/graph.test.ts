/* oxlint-disable typescript/no-unsafe-member-access, typescript/no-unsafe-assignment -- answers are JSON of any shape here */
import { afterAll, beforeAll, expect, test } from "vitest";
import { dagSpec, openApiStage, type PersonName, type Stage } from "../../../test/kit/api-stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openApiStage();
  const spec = dagSpec("orders_etl");
  const [extract, load] = spec.tasks;
  if (extract === undefined || load === undefined) throw new Error("the stage has other tasks");
  const second = {
    ...spec,
    tasks: [
      { ...extract, retries: 5, downstream: [] },
      { ...load, task_id: "store" },
    ],
  };
  await stage.database.owner`
    insert into airlock.dag_version (tenant, dag_id, version, hash, spec, repository, path, commit)
    values ('acme', 'orders_etl', 2, 'h2', ${JSON.stringify(second)}::text::json, 'pipelines', 'dags/orders_etl.py', ${"b".repeat(40)})`;
});
afterAll(() => stage.close());

const at = "/t/acme/api/ui/dags";
const get = (who: PersonName | undefined, path: string) => stage.ask(who, "GET", path);

test("a version's graph names its tasks, edges and where it comes from; without a number it is the live one", async () => {
  const { status, body } = await get("ann", `${at}/orders_etl/graph`);
  expect(status).toBe(200);
  expect(body).toMatchObject({ version: 1, live_version: 1, commit: "a".repeat(40) });
  expect(body.tasks).toMatchObject([
    { id: "extract", downstream: [1], retries: 1, timeout_s: 90_061.5, mapped: false },
    { id: "load", name: "Load it", downstream: [], mapped: true, map_length: null },
  ]);
  expect((await get("ann", `${at}/orders_etl/graph?version=2`)).body.tasks[1].id).toBe("store");
});

test("the difference of two versions, and of a version and itself", async () => {
  const { body } = await get("ann", `${at}/orders_etl/graph/difference?from=1&to=2`);
  expect(body).toEqual({
    from: 1,
    to: 2,
    same_structure: false,
    dag: [],
    added: ["store"],
    removed: ["load"],
    changed: [{ task_id: "extract", what: ["retries: 1 → 5"] }],
    edges_added: [],
    edges_removed: [["extract", "load"]],
  });
  const none = await get("ann", `${at}/orders_etl/graph/difference?from=2&to=2`);
  expect(none.body.same_structure).toBe(true);
});

test("a run's states are summed by task, with times only where all of it is over", async () => {
  const done = await get("ann", `${at}/orders_etl/graph/runs/r1`);
  expect(done.body).toMatchObject({ run_id: "r1", state: "success", version: 1 });
  expect(done.body.tasks).toEqual([
    {
      id: "extract",
      states: { success: 1 },
      started_at: "2026-01-01T06:00:02.000Z",
      ended_at: "2026-01-01T06:00:05.000Z",
      try_number: 2,
      first_index: -1,
    },
    expect.objectContaining({ id: "load", states: { success: 2 }, first_index: 0 }),
  ]);
  const running = await get("ann", `${at}/orders_etl/graph/runs/r2`);
  expect(running.body.tasks).toMatchObject([
    { id: "extract", states: { running: 1 }, ended_at: null },
    { id: "load", states: { none: 2 }, started_at: null, ended_at: null },
  ]);
});

test("the source tells file, commit, who made it and where to read it, of a version or of a run's commit", async () => {
  const { body } = await get("ann", `${at}/orders_etl/source?version=2`);
  expect(body).toMatchObject({
    version: 2,
    commit: "b".repeat(40),
    content: "# acme dags/orders_etl.py\n",
    made: { author: "acme author", subject: "<img onerror=alert(1)>" },
    link: `https://github.com/acme/pipelines/blob/${"b".repeat(40)}/etl/dags/orders_etl.py`,
  });
  expect((await get("ann", `${at}/orders_etl/source?run_id=r1`)).body.commit).toBe("a".repeat(40));
});

test("a file that is gone is told, not refused", async () => {
  const { deps } = stage;
  const { createApi } = await import("../create-api.ts");
  const api = createApi({
    ...deps,
    sources: {
      ...deps.sources,
      readSource: async () => undefined,
      describeCommit: async () => undefined,
    },
  });
  const response = await api.fetch(
    new Request(`http://localhost:8080${at}/orders_etl/source`, {
      headers: { authorization: `Bearer ${stage.tokens.ann}` },
    }),
  );
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ content: null, made: null, link: null });
});

test.each(["/graph", "/graph/difference?from=1&to=1", "/graph/runs/r1", "/source"])(
  "%s of what one may not see is not there",
  async (path) => {
    // Nobody, another tenant's admin, somebody with rights on other DAGs, a DAG that is not there.
    expect((await get(undefined, `${at}/orders_etl${path}`)).status).toBe(401);
    expect((await get("gil", `${at}/orders_etl${path}`)).status).toBe(404);
    expect((await get("nob", `${at}/orders_etl${path}`)).status).toBe(404);
    expect((await get("eve", `${at}/orders_etl${path}`)).status).toBe(404);
    expect((await get("dan", `${at}/secret_plan${path}`)).status).toBe(404);
    expect((await get("dan", `${at}/~${path}`)).status).toBe(404);
    expect((await get("eve", `${at}/payroll${path}`)).status).toBe(200);
  },
);

test("code is a right of its own, and a file that holds another's DAG is not read by who may not read that", async () => {
  await stage.store.tx("acme" as never, async (tx) => {
    const { addRule } = await import("../../store/grants.ts");
    await addRule(tx, "acme" as never, {
      subject: "user:ann",
      thing: "dag:fin-x",
      deed: "code.read",
      effect: "deny",
    });
  });
  expect((await get("ann", `${at}/fin-x/graph`)).status).toBe(200);
  expect((await get("ann", `${at}/fin-x/source`)).status).toBe(403);
  // In an old version, fin-x was in the same file as fin_report.
  expect((await get("ann", `${at}/fin_report/source`)).status).toBe(200);
  await stage.database.owner`
    insert into airlock.dag_version (tenant, dag_id, version, hash, spec, repository, path, commit)
    values ('acme', 'fin-x', 2, 'h9', ${JSON.stringify(dagSpec("fin-x"))}::text::json, 'pipelines', 'dags/fin_report.py', ${"c".repeat(40)})`;
  expect((await get("ann", `${at}/fin_report/source`)).status).toBe(404);
  expect((await get("ann", "/t/acme/api/v2/dagSources/fin_report")).status).toBe(404);
  expect((await get("cat", `${at}/fin_report/source`)).status).toBe(200);
});

test.each([
  "graph?version=-1",
  "graph?version=99999999999999999999",
  "graph?version=1e3",
  "graph?version=1;drop",
  "graph?version=%00",
  "graph?version=77",
  "graph/difference?from=1",
  "graph/difference?from=1&to=2147483648",
  "graph/runs/nothing",
  "graph/runs/%00",
  "source?version=2147483648",
  "source?version=1&run_id=r1",
  `source?run_id=${"x".repeat(300)}`,
  "source?run_id=%ED%A0%80",
  "source?run_id=nothing",
])("%s is answered as the asker's mistake", async (path) => {
  const { status } = await get("dan", `${at}/orders_etl/${path}`);
  expect([400, 404, 422]).toContain(status);
  expect(stage.surprises).toEqual([]);
});
