/* oxlint-disable typescript/no-unsafe-member-access, typescript/no-unsafe-assignment, typescript/no-unsafe-return -- answers are JSON of any shape here */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiStage, type Stage } from "../../../test/kit/api-stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await openApiStage();
});
afterAll(() => stage.close());

const cellOf = (body: any, subject: string, deed: string) =>
  body.subjects
    .find((row: any) => row.subject === subject)
    ?.may.find((cell: any) => cell.deed === deed);

test("an admin of the tenant sees who may what on a DAG, and by which role or rule", async () => {
  const { body } = await stage.ask("dan", "GET", "/t/acme/api/ui/rights?dag_id=payroll");
  expect(body).toMatchObject({ thing: "dag:payroll", of: "everybody", is_partial: false });
  expect(cellOf(body, "user:ann", "dag.read")).toMatchObject({
    allowed: true,
    reasons: [{ subject: "role:viewer", via: ["user:ann", "role:viewer"], from: "built-in" }],
  });
  expect(cellOf(body, "user:ann", "run.trigger")).toMatchObject({ allowed: false, reasons: [] });
  expect(cellOf(body, "user:eve", "run.trigger")).toMatchObject({
    allowed: true,
    reasons: [{ subject: "user:eve", thing: "dag:payroll", deed: "b:user", from: "tenant" }],
  });
  const other = await stage.ask("dan", "GET", "/t/acme/api/ui/rights?dag_id=orders_etl");
  expect(cellOf(other.body, "user:eve", "run.trigger")).toMatchObject({ allowed: false });
  const tenant = await stage.ask("dan", "GET", "/t/acme/api/ui/rights");
  expect(tenant.body.thing).toBe("*");
  expect(cellOf(tenant.body, "user:cat", "conn.write")).toMatchObject({ allowed: true });
  expect(tenant.text).not.toContain("gil");
});

test("who may not read grants sees their own rights alone", async () => {
  const { body, text } = await stage.ask("eve", "GET", "/t/acme/api/ui/rights?dag_id=payroll");
  expect(body.of).toBe("you");
  expect(body.subjects.map((row: any) => row.subject)).toEqual(["user:eve"]);
  expect(text).not.toContain("user:dan");
  expect((await stage.ask("eve", "GET", "/t/acme/api/ui/rights?dag_id=orders_etl")).status).toBe(
    404,
  );
  expect((await stage.ask("dan", "GET", "/t/acme/api/ui/rights?dag_id=nope")).status).toBe(404);
  for (const [who, status] of [
    ["gil", 404],
    ["nob", 404],
    [undefined, 401],
  ] as const)
    expect((await stage.ask(who, "GET", "/t/acme/api/ui/rights")).status).toBe(status);
});

test("the platform's overview is the platform's", async () => {
  for (const who of ["ann", "dan", "nob"] as const)
    expect((await stage.ask(who, "GET", "/api/platform/overview")).status).toBe(403);
  const { body } = await stage.ask("root", "GET", "/api/platform/overview");
  expect(body).toMatchObject({
    version: "0.1.0",
    health: { database: true, warnings: [] },
    tenants: [
      { tenant: "acme", state: "active", dags: 4, repositories: [] },
      { tenant: "globex", dags: 2 },
    ],
  });
});
