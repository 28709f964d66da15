/** A team's day: clone, push, live, trigger, log, fail, mend, clear, stop. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clone, cloneRepository, eventually, type House, openHouse } from "../kit/house.ts";

let house: House;
let clone: Clone;

beforeAll(async () => {
  house = await openHouse();
  await house.must("tenants", "create", "acme");
  await house.must("repositories", "create", "acme/pipelines");
  clone = await cloneRepository(house, "acme", "pipelines");
  mkdirSync(join(clone.folder, "dags"));
}, 240_000);
afterAll(() => house.remove());

const dag = (body: string): string => `
from airflow.sdk import dag, task

@dag(schedule=None)
def orders():
    @task
    def extract(params=None):
        print("extracting", 3)
        return [1, 2, 3]
    @task
    def total(rows):
        ${body}
    total(extract())
orders()
`;
const write = (name: string, text: string): void =>
  writeFileSync(join(clone.folder, "dags", name), text);

test("a push answers what went live, and in how many milliseconds", async () => {
  write("orders.py", dag("raise ValueError('the total is off')"));
  const pushed = await clone.push("orders");
  expect(pushed.code).toBe(0);
  expect(pushed.stderr).toMatch(/remote: live in \d+ ms: 1 DAG \(1 new\)/);
}, 240_000);

test("a bad file is named with its line, and what was live stays live", async () => {
  write("broken.py", "from airflow.sdk import dag\n\nthis is no python\n");
  const pushed = await clone.push("a typing error");
  expect(pushed.code).toBe(0);
  expect(pushed.stderr).toMatch(/remote: dags\/broken\.py:3: /);
  const dags = await house.airlock("dags", "list", "acme", "-o", "json");
  expect(dags.stdout).toContain('"orders"');
  const deploys = JSON.parse(
    (await house.airlock("deploys", "list", "acme", "-o", "json")).stdout,
  ) as { state: string; errors: { path: string; line: number }[] }[];
  expect(deploys[0]).toMatchObject({
    state: "live",
    errors: [{ path: "dags/broken.py", line: 3 }],
  });
}, 60_000);

test("a run fails with its reason, its log is there, and after the mend it ends well from the failed task on", async () => {
  const failed = await house.airlock("trigger", "acme/orders", "--run-id", "first", "--wait");
  expect(failed.code).toBe(1);
  const log = await house.airlock("logs", "acme/orders/first/total");
  expect(log.stdout).toContain("ValueError: the total is off");
  const why = await house.airlock("why", "acme/orders/first/total");
  expect(why.stdout).toMatch(/total is off/);

  write("orders.py", dag("print('sum is', sum(rows)); return sum(rows)"));
  await clone.git("rm", "--quiet", "dags/broken.py");
  expect((await clone.push("mend")).stderr).toMatch(/live in \d+ ms/);
  expect(await house.airlock("clear", "acme/orders/first", "--failed")).toMatchObject({ code: 0 });
  const state = await eventually(async () => {
    const { stdout } = await house.airlock("dagrun", "get", "acme/orders/first", "-o", "json");
    const run = JSON.parse(stdout) as { state: string };
    return run.state === "success" || run.state === "failed" ? run.state : undefined;
  });
  expect(state).toBe("success");
  const second = await house.airlock("logs", "acme/orders/first/total");
  expect(second.stdout).toContain("sum is 6");
  const tasks = JSON.parse(
    (await house.airlock("tasks", "states-for-dag-run", "acme/orders/first", "-o", "json")).stdout,
  ) as { task_id: string; try_number: number }[];
  expect(tasks.find((task) => task.task_id === "extract")?.try_number).toBe(1);
}, 120_000);

test("a running run is stopped, and its process is gone", async () => {
  write(
    "slow.py",
    `
import time
from airflow.sdk import dag, task
@dag(schedule=None)
def slow():
    @task
    def wait():
        print("waiting", flush=True)
        time.sleep(600)
    wait()
slow()
`,
  );
  expect((await clone.push("slow")).stderr).toMatch(/live in/);
  expect(await house.airlock("trigger", "acme/slow", "--run-id", "long")).toMatchObject({
    code: 0,
  });
  await eventually(async () =>
    (await house.airlock("logs", "acme/slow/long/wait")).stdout.includes("waiting")
      ? true
      : undefined,
  );
  expect(await house.airlock("stop", "acme/slow/long")).toMatchObject({ code: 0 });
  const run = JSON.parse(
    (await house.airlock("dagrun", "get", "acme/slow/long", "-o", "json")).stdout,
  ) as { state: string };
  expect(run.state).toBe("failed");
}, 120_000);
