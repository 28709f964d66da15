/** One tenant attacks; its own files and attempts get clear errors, everything else stays live, the neighbour notices nothing. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clone, cloneRepository, eventually, type House, openHouse } from "../kit/house.ts";
import { openCampaign } from "../siege/campaign.ts";
import { attackHouse, houseCanary } from "../siege/sandbox.ts";

let house: House;
let mallory: Clone;

beforeAll(async () => {
  house = await openHouse({ env: houseCanary });
  for (const tenant of ["mallory", "neighbour"]) {
    await house.must("tenants", "create", tenant);
    await house.must("repositories", "create", `${tenant}/code`);
  }
  await patchTenant("mallory", {
    limits: {
      parse_seconds: 4,
      memory: "256MiB",
      log_size: "1MiB",
      xcom_size: "1MiB",
      processes: 40,
    },
  });
  const neighbour = await cloneRepository(house, "neighbour", "code");
  mkdirSync(join(neighbour.folder, "dags"));
  writeFileSync(
    join(neighbour.folder, "dags", "calm.py"),
    `
from airflow.sdk import dag, task
@dag(schedule=None)
def calm():
    @task
    def breathe():
        return 1
    breathe()
calm()
`,
  );
  await neighbour.push("calm");
  mallory = await cloneRepository(house, "mallory", "code");
  mkdirSync(join(mallory.folder, "dags"));
}, 240_000);
afterAll(() => house.remove());

async function patchTenant(tenant: string, change: object): Promise<void> {
  const profile = JSON.parse(readFileSync(join(house.home, "local-profile.json"), "utf8")) as {
    token: string;
  };
  const answer = await fetch(`${house.url}/api/platform/tenants/${tenant}`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${profile.token}`, "content-type": "application/json" },
    body: JSON.stringify(change),
  });
  if (!answer.ok) throw new Error(`PATCH tenant: ${answer.status} ${await answer.text()}`);
}

const dag = (id: string, body: string): string => `
import os, sys, time
from airflow.sdk import dag, task
@dag(schedule=None, dag_id="${id}")
def made():
    @task
    def attack():
${body
  .split("\n")
  .map((line) => `        ${line}`)
  .join("\n")}
    attack()
made()
`;
const write = (name: string, text: string): void =>
  writeFileSync(join(mallory.folder, "dags", name), text);

test("each hostile file of a push gets its own error; the good one beside them is live", async () => {
  write("good.py", dag("good", "return 1"));
  write("loops.py", "import airflow.sdk  # dag\nwhile True: pass\n");
  write("exits.py", "import os, airflow.sdk  # dag\nos._exit(3)\n");
  write("segfaults.py", "import ctypes, airflow.sdk  # dag\nctypes.string_at(0)\n");
  write("prints.py", "import airflow.sdk  # dag\nwhile True: print('x' * 100000)\n");
  write(
    "forks.py",
    "import os, airflow.sdk  # dag\nwhile True:\n    try: os.fork()\n    except OSError: raise SystemExit('no more processes')\n",
  );
  write(
    "eats.py",
    "import airflow.sdk  # dag\nx = []\nwhile True: x.append(bytearray(10_000_000))\n",
  );
  write(
    "cycle.py",
    "from airflow.sdk import DAG, task\nwith DAG('cycle', schedule=None):\n    @task\n    def a(): ...\n    @task\n    def b(): ...\n    x, y = a(), b()\n    x >> y >> x\n",
  );
  write("double_one.py", dag("double", "return 1"));
  write("double_two.py", dag("double", "return 2"));
  write(
    "bomb.dag.yaml",
    `a: &a [${"x,".repeat(9)}x]\nb: &b [${"*a,".repeat(9)}*a]\nc: &c [${"*b,".repeat(9)}*b]\nd: &d [${"*c,".repeat(9)}*c]\ne: &e [${"*d,".repeat(9)}*d]\nf: [${"*e,".repeat(9)}*e]\n`,
  );
  symlinkSync("/etc/passwd", join(mallory.folder, "dags", "passwd.py"));
  const pushed = await mallory.push("an attack");
  const said = pushed.stderr;
  expect(pushed.code).toBe(0);
  const deploy = await eventually(async () => {
    const [last] = JSON.parse(await house.must("deploys", "list", "mallory", "-o", "json")) as {
      state: string;
      errors: { path: string; message: string }[];
    }[];
    return last?.state === "live" ? last : undefined;
  }, 90_000);
  const about = (file: string): string =>
    deploy.errors
      .filter((error) => error.path.endsWith(file))
      .map((error) => error.message)
      .join(" ");
  expect(`${about("loops.py")} ${said}`).toMatch(/not parsed after 4 s/);
  expect(about("exits.py")).toMatch(/exit|ended/i);
  expect(about("segfaults.py")).toMatch(/SIGSEGV|segmentation/i);
  expect(about("prints.py")).toMatch(/output|printed|second/i);
  expect(about("forks.py")).not.toBe("");
  expect(about("eats.py")).toMatch(/memory/i);
  expect(about("cycle.py")).toMatch(/cycle/i);
  expect(`${about("double_one.py")}${about("double_two.py")}`).toMatch(/double/);
  expect(about("bomb.dag.yaml")).not.toBe("");
  expect(about("passwd.py")).toMatch(/link/i);
  expect(JSON.stringify(deploy.errors)).not.toContain("root:");
  const live = JSON.parse(await house.must("dags", "list", "mallory", "-o", "json")) as {
    dag_id: string;
  }[];
  expect(live.map((row) => row.dag_id)).toContain("good");
}, 180_000);

test("hostile attempts end with the limit they hit, and leave nothing running", async () => {
  await mallory.git("rm", "--quiet", "-r", "--force", "dags");
  mkdirSync(join(mallory.folder, "dags"), { recursive: true });
  write("flood.py", dag("flood", "while True: print('y' * 10000)"));
  write("huge.py", dag("huge", "return 'x' * 20_000_000"));
  write("murder.py", dag("murder", "os.kill(os.getppid(), 9); time.sleep(2)"));
  write("glutton.py", dag("glutton", "x = []\nwhile True: x.append(bytearray(10_000_000))"));
  write(
    "daemon.py",
    dag("daemon", "if os.fork() == 0:\n    os.setsid()\n    time.sleep(3600)\nreturn 1"),
  );
  expect((await mallory.push("attempts")).stderr).toMatch(/live in/);

  const reasonOf = async (id: string): Promise<string> => {
    const ran = await house.airlock("trigger", `mallory/${id}`, "--run-id", "r", "--wait");
    expect(ran.code, `${id}: ${ran.stdout}`).toBe(1);
    return (await house.must("why", `mallory/${id}/r/attack`)) + ran.stdout + ran.stderr;
  };
  expect(await reasonOf("flood")).toMatch(/log/i);
  expect(await reasonOf("huge")).toMatch(/XCom/i);
  expect(await reasonOf("glutton")).toMatch(/memory/i);
  await house.airlock("trigger", "mallory/murder", "--run-id", "r", "--wait");
  const daemon = await house.airlock("trigger", "mallory/daemon", "--run-id", "r", "--wait");
  expect(daemon.code).toBe(0);

  // The neighbour works as before, and so does the attacker's next honest task.
  expect((await house.airlock("trigger", "neighbour/calm", "--wait")).code).toBe(0);
}, 240_000);

test("the siege's probes get nothing, in each guest and while files are read", async () => {
  const campaign = openCampaign(1);
  await attackHouse(campaign, house);
  for (const skipped of campaign.skipped) console.warn(`SKIPPED: ${skipped}`);
  expect(campaign.escapes).toEqual([]);
  expect(campaign.probes).toBeGreaterThan(100);
}, 180_000);

test("malformed input is answered with the field and the rule, never with a stack", async () => {
  const bad = [
    ["/t/neighbour/api/v2/dags/calm/dagRuns", '{"conf": 7}'],
    ["/t/neighbour/api/v2/dags/calm/dagRuns", '{"logical_date": "yesterday"}'],
    ["/t/neighbour/api/v2/dags/calm/dagRuns", "{"],
    ["/t/neighbour/api/v2/dags/%00/dagRuns", "{}"],
    ["/t/NEIGHBOUR/api/v2/dags/calm/dagRuns", "{}"],
    ["/api/platform/tenants", '{"tenant": "Bad Name"}'],
  ] as const;
  const profile = JSON.parse(readFileSync(join(house.home, "local-profile.json"), "utf8")) as {
    token: string;
  };
  for (const [path, body] of bad) {
    const answer = await fetch(`${house.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${profile.token}`, "content-type": "application/json" },
      body,
    });
    const text = await answer.text();
    expect(answer.status, `${path} ${body}: ${text}`).toBeGreaterThanOrEqual(400);
    expect(answer.status, `${path} ${body}: ${text}`).toBeLessThan(500);
    expect(text).not.toMatch(/node_modules|at .*\.ts/);
  }
  for (const args of [
    ["trigger", "nobody"],
    ["logs", "a/b/c/d/e/f"],
    ["tenants", "create", "Bad Name"],
    ["no-such-verb"],
  ]) {
    const ran = await house.airlock(...args);
    expect([1, 2]).toContain(ran.code);
    expect(ran.stderr).not.toMatch(/node_modules|^\s+at /m);
  }
}, 60_000);
