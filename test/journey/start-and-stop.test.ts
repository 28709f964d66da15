/** What a newcomer's machine goes through: first start, Ctrl-C, start again, a kill, a second start beside it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually, makeHome, openHouse, run } from "../kit/house.ts";

/** Processes whose command line names this home: none must be left behind. */
const processesOf = (home: string): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return line.includes(home) && Number(pid) !== process.pid ? [`${pid} ${line}`] : [];
      } catch {
        return [];
      }
    });

test("Ctrl-C ends all of it, and the next start goes on where it was", async () => {
  const house = await openHouse();
  expect(await house.airlock("tenants", "create", "acme")).toMatchObject({ code: 0 });
  const info = JSON.parse(readFileSync(join(house.home, "server.json"), "utf8")) as {
    url: string;
    pid: number;
  };
  expect(info).toMatchObject({ url: house.url, pid: house.pid });
  await house.stop();
  await eventually(async () => (processesOf(house.home).length === 0 ? true : undefined));
  expect(existsSync(join(house.home, "server.json"))).toBe(false);

  const again = await openHouse({ home: house.home });
  const tenants = await again.airlock("tenants", "list", "-o", "json");
  expect(tenants.stdout).toContain('"acme"');
  await again.remove();
}, 240_000);

test("after a SIGKILL the next start takes over the Postgres that was left running", async () => {
  const house = await openHouse();
  expect(await house.airlock("tenants", "create", "acme")).toMatchObject({ code: 0 });
  await house.kill();
  const again = await openHouse({ home: house.home });
  expect((await again.airlock("tenants", "list", "-o", "json")).stdout).toContain('"acme"');
  await again.stop();
  await eventually(async () => (processesOf(house.home).length === 0 ? true : undefined));
  await again.remove();
}, 240_000);

test("a second start on the same home says who holds it", async () => {
  const house = await openHouse();
  const second = await run(
    process.execPath,
    [join(import.meta.dirname, "../../bin/airlock.mjs"), "up"],
    {
      env: { ...process.env, AIRLOCK_HOME: house.home, AIRLOCK_PORT: "0" },
    },
  );
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(String(house.pid));
  expect(second.stderr).toContain(house.home);
  await house.remove();
}, 240_000);

test("a wrong setting is named, and nothing is left behind", async () => {
  const home = makeHome();
  const started = await run(
    process.execPath,
    [join(import.meta.dirname, "../../bin/airlock.mjs"), "up"],
    {
      env: { ...process.env, AIRLOCK_HOME: home, AIRLOCK_PORT: "eighty" },
    },
  );
  expect(started.code).not.toBe(0);
  expect(started.stderr).toContain("AIRLOCK_PORT");
  expect(processesOf(home)).toEqual([]);
});
