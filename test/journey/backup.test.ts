/** An operator's night: a backup while everything runs, a try of it, a lost machine, a moment gone back to, and all that can go wrong. */
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  cloneRepository,
  eventually,
  type House,
  makeHome,
  openHouse,
  type Ran,
  run,
} from "../kit/house.ts";

const bin = join(import.meta.dirname, "../../bin/airlock.mjs");
const folder = mkdtempSync(join(tmpdir(), "airlock-backups-"));
const walArchive = mkdtempSync(join(tmpdir(), "airlock-wal-"));
const homes: string[] = [];
let house: House;
let backup: string;
/** When two variables had been set, and a third had not. */
let between: string;

const dag = `
import os
from airflow.sdk import Variable, dag, task

@dag(schedule=None)
def ledger():
    @task
    def book():
        with open(os.path.join(os.environ["AIRLOCK_ARTIFACTS"], "report.txt"), "w") as report:
            report.write("booked")
        print("the secret is", len(Variable.get("token")), "long")
        return "x" * 100_000
    book()
ledger()
`;

beforeAll(async () => {
  house = await openHouse({ env: { AIRLOCK_WAL_ARCHIVE: walArchive } });
  homes.push(house.home);
  await house.must("tenants", "create", "acme");
  await house.must("repositories", "create", "acme/pipelines");
  const clone = await cloneRepository(house, "acme", "pipelines");
  mkdirSync(join(clone.folder, "dags"));
  writeFileSync(join(clone.folder, "dags/ledger.py"), dag);
  await clone.push("ledger");
  await untilLive(house, (dags) => dags.includes('"ledger"'));
  await house.must("variables", "create", "acme/token", "canary");
  await house.must("trigger", "acme/ledger", "--run-id", "before", "--wait");
}, 240_000);
afterAll(async () => {
  await house.remove();
  for (const place of [folder, walArchive, ...homes])
    rmSync(place, { recursive: true, force: true });
});

/** A first environment may take longer than a push waits. */
const untilLive = (on: House, isThere: (dags: string) => boolean): Promise<true> =>
  eventually(
    async () =>
      isThere((await on.airlock("dags", "list", "acme", "-o", "json")).stdout) ? true : undefined,
    120_000,
  );

/** The command on a home where nothing runs. */
const on = (home: string, ...args: string[]): Promise<Ran> =>
  run(process.execPath, [bin, ...args], {
    env: { ...process.env, AIRLOCK_HOME: home, AIRLOCK_LOG_FORMAT: "json" },
  });

test("a backup is taken while runs go on, and tells what it holds", async () => {
  const busy = Promise.all(
    Array.from({ length: 5 }, () => house.airlock("trigger", "acme/ledger", "--wait")),
  );
  const said = JSON.parse(await house.must("backup", folder, "-o", "json")) as {
    backup: string;
    repositories: number;
    has_keys: boolean;
  };
  expect(said).toMatchObject({ repositories: 1, has_keys: true });
  backup = said.backup;
  const unwell = (await busy).filter(({ code }) => code !== 0);
  expect(unwell).toEqual([]);
  expect(readdirSync(folder)).toEqual([backup.slice(folder.length + 1)]);
}, 240_000);

test("a try of it finds everything there, every secret to open, and leaves nothing behind", async () => {
  const stages = (): string[] =>
    readdirSync(tmpdir()).filter((name) => name.startsWith("airlock-restore-"));
  const before = stages();
  const tried = await house.airlock("restore", "--test", backup, "-o", "json");
  expect(JSON.parse(tried.stdout)).toMatchObject({
    ok: true,
    tenants: 1,
    dags: 1,
    repositories: 1,
    problems: [],
  });
  expect(tried.code).toBe(0);
  expect(stages()).toEqual(before);
}, 240_000);

test("over a platform that runs nothing is restored, also not by force", async () => {
  for (const more of [[], ["--replace"]]) {
    const refused = await house.airlock("restore", backup, ...more);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(String(house.pid));
  }
  expect((await house.airlock("dags", "list", "acme")).stdout).toContain("ledger");
}, 240_000);

test("on another machine it goes on: the run, its artifact, its large XCom, the secret, the repository", async () => {
  const home = makeHome();
  homes.push(home);
  const restored = await on(home, "restore", backup);
  expect(restored.stdout).toContain("nothing is missing");
  expect(restored.code).toBe(0);
  const again = await openHouse({ home });
  expect(
    (await again.airlock("artifacts", "acme/ledger/before/book", "--get", "report.txt")).stdout,
  ).toBe("booked");
  await again.must("trigger", "acme/ledger", "--run-id", "after", "--wait");
  expect((await again.airlock("logs", "acme/ledger/after/book")).stdout).toContain(
    "the secret is 6 long",
  );
  const clone = await cloneRepository(again, "acme", "pipelines");
  writeFileSync(join(clone.folder, "dags/ledger.py"), `${dag}\n# one line more\n`);
  expect((await clone.push("goes on")).code).toBe(0);
  await again.stop();
}, 240_000);

test("with its archived changes it goes back to any moment since, and what was there is moved aside", async () => {
  await house.must("variables", "create", "acme/second", "2");
  // The database's clock is this machine's; a moment is to the millisecond.
  between = new Date(Date.now() + 5).toISOString();
  await house.must("trigger", "acme/ledger", "--wait");
  await house.must("variables", "create", "acme/third", "3");
  await house.stop();
  const refused = await on(house.home, "restore", backup);
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toContain("--replace");
  const back = await on(house.home, "restore", backup, "--replace", "--at", between, "-o", "json");
  expect(back.stderr).not.toContain("✗");
  expect(back.code).toBe(0);
  expect(readdirSync(house.home).filter((name) => name.startsWith("before-restore-"))).toHaveLength(
    1,
  );
  house = await openHouse({ home: house.home });
  const variables = (await house.airlock("variables", "list", "acme", "-o", "json")).stdout;
  expect(variables).toContain('"second"');
  expect(variables).not.toContain('"third"');
}, 240_000);

test("a moment before the backup is refused, and so is one without archived changes", async () => {
  const early = await house.airlock("restore", "--test", backup, "--at", "2020-01-01");
  expect(early.code).toBe(1);
  expect(early.stderr).toContain("an older backup");
  const late = await house.airlock("restore", "--test", backup, "--at", "2100-01-01");
  expect(late.code).toBe(1);
  expect(late.stderr).toContain("The archived changes end before that moment");
}, 240_000);

test("a folder that is no backup, a half one and a damaged one are refused by name", async () => {
  const part = mkdtempSync(join(folder, "half-"));
  expect((await house.airlock("restore", "--test", part)).stderr).toContain("is no backup");
  rmSync(part, { recursive: true });
  const copy = join(folder, "damaged");
  expect(spawnSync("cp", ["-a", backup, copy]).status).toBe(0);
  appendFileSync(join(copy, "secret.key"), "x");
  rmSync(join(copy, "postgres/data/PG_VERSION"));
  const refused = await house.airlock("restore", "--test", copy);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/secret\.key has \d+ bytes instead of/);
  expect(refused.stderr).toContain("PG_VERSION is missing");
  rmSync(copy, { recursive: true });
}, 240_000);

test("without its keys it says how many secrets stay shut", async () => {
  const copy = join(folder, "no-keys");
  expect(spawnSync("cp", ["-a", backup, copy]).status).toBe(0);
  const other = Buffer.alloc(32, 7).toString("base64");
  const tried = await run(process.execPath, [bin, "restore", "--test", copy], {
    env: { ...process.env, AIRLOCK_HOME: house.home, AIRLOCK_SECRET_KEY: other },
  });
  expect(tried.code).toBe(1);
  expect(tried.stdout).toMatch(/✗ the data key of acme is wrapped by platform key \w+/);
  rmSync(copy, { recursive: true });
}, 240_000);

test.skipIf(process.getuid?.() !== 0)(
  "a full disk is said, nothing is kept of it, and what runs goes on",
  async () => {
    const small = mkdtempSync(join(tmpdir(), "airlock-small-"));
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=20m", "tmpfs", small]).status).toBe(0);
    try {
      const full = await house.airlock("backup", small);
      expect(full.code).toBe(1);
      expect(full.stderr).toContain("Give another folder");
      expect(readdirSync(small)).toEqual([]);
      // Room for the database, by its own count, and none for what is beside it: it is full in the middle of the copy.
      expect(spawnSync("mount", ["-o", "remount,size=200m", small]).status).toBe(0);
      const large = join(house.home, "objects", "large");
      writeFileSync(large, "");
      truncateSync(large, 400_000_000);
      const later = await house.airlock("backup", small);
      rmSync(large);
      expect(later.code).toBe(1);
      expect(later.stderr).toMatch(/is full after \d+ MB\. Nothing was kept/);
      expect(readdirSync(small)).toEqual([]);
      expect((await house.airlock("trigger", "acme/ledger", "--wait")).code).toBe(0);
    } finally {
      spawnSync("umount", [small]);
      rmSync(small, { recursive: true, force: true });
    }
  },
  240_000,
);

test("a home without a platform, and a Postgres of one's own, are told what to do", async () => {
  const nothing = makeHome();
  homes.push(nothing);
  const empty = await on(nothing, "backup", folder);
  expect(empty.code).toBe(1);
  expect(empty.stderr).toContain("nothing to back up");
  expect(existsSync(join(nothing, "postgres"))).toBe(false);
  const own = await run(process.execPath, [bin, "backup", folder], {
    env: { ...process.env, AIRLOCK_HOME: nothing, DATABASE_URL: "postgres://localhost/x" },
  });
  expect(own.code).toBe(2);
  expect(own.stderr).toContain("pg_dump");
}, 60_000);
