/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-member-access, typescript/no-unsafe-return -- answers are JSON of any shape here */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiStage, type Stage } from "../../../test/kit/api-stage.ts";
import { known } from "../../model/ids.ts";
import { addRule } from "../../store/grants.ts";

let stage: Stage;
const commit = (letter: string): string => letter.repeat(40);
const deploys: Record<string, string> = {};

beforeAll(async () => {
  stage = await openApiStage();
  const sql = stage.database.owner;
  for (const [tenant, repository, head] of [
    ["acme", "pipelines", "b"],
    ["acme", "secret", "c"],
    ["globex", "pipelines", "d"],
  ] as const)
    await sql`
      insert into airlock.repository (tenant, repository, kind, branch, head_commit, seen_commit)
      values (${tenant}, ${repository}, 'hosted', 'main', ${commit(head)}, ${commit(head)})`;
  for (const [name, tenant, repository, of, state] of [
    ["old", "acme", "pipelines", "a", "live"],
    ["bad", "acme", "pipelines", "e", "failed"],
    ["live", "acme", "pipelines", "b", "live"],
    ["secret", "acme", "secret", "c", "live"],
    ["foreign", "globex", "pipelines", "d", "live"],
  ] as const) {
    const [row] = await sql<{ deploy: string }[]>`
      insert into airlock.deploy (tenant, repository, commit, reason, state, ended_at, ms, asked_by, errors, errors_count, parts)
      values (${tenant}, ${repository}, ${commit(of)}, 'push', ${state}, now(), 12, 'user:ann',
        ${JSON.stringify(state === "failed" ? [{ path: "dags/x.py", line: 2, message: "NameError", frame: { first: 1, lines: ["a", "b"] } }] : [])}::text::json,
        ${state === "failed" ? 1 : 0}, '{"fetch": 3, "parse": 8}') returning deploy::text`;
    deploys[name] = row?.deploy ?? "";
  }
  await stage.store.system((tx) =>
    addRule(tx, known.tenant("acme"), {
      subject: "user:ann",
      thing: "repo:secret",
      deed: "repo.read",
      effect: "deny",
    }),
  );
});
afterAll(() => stage.close());

test("deploys are listed newest first with what is live, of repositories that one may read", async () => {
  const all = await stage.ask("dan", "GET", "/t/acme/api/ui/deploys");
  expect(all.body.deploys.map((row: any) => row.deploy)).toEqual(
    ["secret", "live", "bad", "old"].map((name) => deploys[name]),
  );
  expect(all.body.repositories).toMatchObject([
    { repository: "pipelines", live_commit: commit("b"), rollback: null },
    { repository: "secret" },
  ]);
  expect(all.body.deploys[2]).toMatchObject({
    state: "failed",
    errors_count: 1,
    was_live: false,
    asked_by: "user:ann",
    parts: { fetch: 3, parse: 8 },
  });
  const ann = await stage.ask("ann", "GET", "/t/acme/api/ui/deploys");
  expect(ann.body.deploys.map((row: any) => row.deploy)).toEqual(
    ["live", "bad", "old"].map((name) => deploys[name]),
  );
  expect(ann.body.repositories).toHaveLength(1);
});

test("pages follow the deploy's number, and filters narrow them", async () => {
  const first = await stage.ask("dan", "GET", "/t/acme/api/ui/deploys?limit=2");
  expect(first.body.next).toBe(deploys["live"]);
  const rest = await stage.ask(
    "dan",
    "GET",
    `/t/acme/api/ui/deploys?limit=2&before=${first.body.next}`,
  );
  expect(rest.body.deploys.map((row: any) => row.deploy)).toEqual([deploys["bad"], deploys["old"]]);
  expect(rest.body.next).toBeNull();
  const failed = await stage.ask("dan", "GET", "/t/acme/api/ui/deploys?state=failed");
  expect(failed.body.deploys).toHaveLength(1);
  for (const query of ["limit=0", "limit=101", "before=x", "before=1e9", "state=odd"])
    expect((await stage.ask("dan", "GET", `/t/acme/api/ui/deploys?${query}`)).status).toBe(422);
  expect((await stage.ask("dan", "GET", "/t/acme/api/ui/deploys?repository=..")).status).toBe(400);
});

test("one deploy has its problems with their lines; what is not one's to read is not there", async () => {
  const bad = await stage.ask("ann", "GET", `/t/acme/api/ui/deploys/${deploys["bad"]}`);
  expect(bad.body.errors).toEqual([
    {
      path: "dags/x.py",
      line: 2,
      message: "NameError",
      hint: null,
      frame: { first: 1, lines: ["a", "b"] },
    },
  ]);
  for (const [who, number] of [
    ["ann", deploys["secret"]],
    ["dan", deploys["foreign"]],
    ["dan", "999999999"],
    ["dan", "99999999999999999999999"],
    ["dan", "-1"],
    ["dan", "x"],
    ["gil", deploys["live"]],
    ["nob", deploys["live"]],
  ] as const)
    expect((await stage.ask(who, "GET", `/t/acme/api/ui/deploys/${number}`)).status).toBe(404);
  expect((await stage.ask(undefined, "GET", "/t/acme/api/ui/deploys")).status).toBe(401);
});

test("a deploy tells of the DAG versions that it brought only what one may read", async () => {
  const sql = stage.database.owner;
  const [row] = await sql<{ deploy: string }[]>`
    insert into airlock.deploy (tenant, repository, commit, reason, state)
    values ('acme', 'pipelines', ${commit("a")}, 'push', 'live') returning deploy::text`;
  const path = `/t/acme/api/ui/deploys/${row?.deploy}`;
  const ids = async (who: "dan" | "ann") =>
    (await stage.ask(who, "GET", path)).body.versions.map((version: any) => version.dag_id);
  expect(await ids("dan")).toEqual(["fin-x", "fin_report", "orders_etl", "payroll"]);
  await stage.store.system((tx) =>
    addRule(tx, known.tenant("acme"), {
      subject: "user:ann",
      thing: "dag:payroll",
      deed: "dag.read",
      effect: "deny",
    }),
  );
  expect(await ids("ann")).toEqual(["fin-x", "fin_report", "orders_etl"]);
});

test("going back needs repo.write, a commit's id, and leaves its row in the audit log", async () => {
  const path = "/api/platform/tenants/acme/repositories/pipelines/rollback";
  const back = await stage.ask("dan", "POST", path, { commit: commit("a") });
  expect(back).toMatchObject({ status: 202, body: { commit: commit("a") } });
  expect(stage.calls.at(-1)).toEqual({
    deed: "rollBack",
    tenant: "acme",
    asked: { name: "pipelines", commit: commit("a"), by: "user:dan" },
  });
  expect((await stage.ask("dan", "DELETE", path)).status).toBe(202);
  const audits = await stage.database.owner`
    select detail from airlock.audit where thing = 'repo:pipelines' and outcome = 'done' order by at`;
  expect(audits.map(({ detail }) => detail)).toEqual([
    { rollback: commit("a") },
    { rollback: null },
  ]);
  expect((await stage.ask("dan", "POST", path, { commit: commit("b") })).status).toBe(400);
  for (const bad of ["abc", "--upload-pack=x", "A".repeat(40), "a".repeat(65), 7, null])
    expect((await stage.ask("dan", "POST", path, { commit: bad })).status).toBe(422);
  for (const method of ["POST", "DELETE"] as const) {
    const body = method === "POST" ? { commit: commit("a") } : undefined;
    expect((await stage.ask("bob", method, path, body)).status).toBe(403);
    expect((await stage.ask("gil", method, path, body)).status).toBe(404);
    const elsewhere = path.replace("pipelines", "nope");
    expect((await stage.ask("dan", method, elsewhere, body)).status).toBe(404);
  }
});
