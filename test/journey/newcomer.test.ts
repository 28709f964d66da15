/**
 * What a newcomer sees: one command, three sample tenants that really work, each in its language; as whoever
 * runs the tests, and as an ordinary user of this machine.
 */
import { spawnSync } from "node:child_process";
import { chownSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { eventually, type House, makeHome, openHouse } from "../kit/house.ts";

const root = join(import.meta.dirname, "..", "..");

describe("as the user who runs the tests", () => {
  const houses = journey(() => openHouse({ examples: true }));
  afterAll(() => houses.house?.remove());
});

const user = ordinaryUser();
describe.skipIf(user === undefined)(
  `as an ordinary user${user === undefined ? " (skipped: needs root, useradd, and a checkout that others may enter)" : ""}`,
  () => {
    const houses = journey(async () => {
      const home = makeHome();
      chownSync(home, user?.uid ?? 0, user?.gid ?? 0);
      return openHouse({ examples: true, home, user });
    });
    afterAll(() => houses.house?.remove());
  },
);

function journey(open: () => Promise<House>): { house?: House } {
  const opened: { house?: House } = {};
  test("the platform is ready, and says how to go on", async () => {
    opened.house = await open();
    const { house } = opened;
    await eventually(async () =>
      house.output().includes("npx airlock trigger acme/orders_etl --wait") ? true : undefined,
    );
    const ready = await fetch(`${house.url}/readyz`);
    expect(ready.status).toBe(200);
  }, 240_000);

  for (const name of ["acme/orders_etl", "globex/bikes_daily", "initech/air_quality"])
    test(`${name} is live, runs to its end and leaves a report that opens`, async () => {
      const house = opened.house;
      if (house === undefined) throw new Error("the platform did not start");
      const [tenant = ""] = name.split("/");
      await eventually(async () => {
        const { stdout } = await house.airlock("dags", "list", tenant, "-o", "json");
        return stdout.includes(`"${name.split("/")[1] ?? ""}"`) ? true : undefined;
      }, 120_000);
      const ran = await house.airlock("trigger", name, "--run-id", "journey", "--wait");
      expect(ran.code, `${ran.stdout}\n${ran.stderr}`).toBe(0);
      const artifacts = JSON.parse(
        await house.must("artifacts", `${name}/journey`, "-o", "json"),
      ) as { name: string; bytes: number }[];
      const report = artifacts.find((artifact) => artifact.name.endsWith(".html"));
      expect(report?.bytes).toBeGreaterThan(500);
    }, 240_000);
  return opened;
}

/** A user without rights, made once; undefined where that cannot be. */
function ordinaryUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0 || spawnSync("setpriv", ["--version"]).status !== 0)
    return undefined;
  // Everybody must be able to enter the checkout, or that user cannot even read the program.
  for (let at = root; ; at = dirname(at)) {
    const probe = spawnSync("setpriv", [
      "--reuid",
      "65534",
      "--regid",
      "65534",
      "--clear-groups",
      "test",
      "-x",
      at,
    ]);
    if (probe.status !== 0) return undefined;
    if (at === dirname(at)) break;
  }
  const name = "airlock-journey";
  if (spawnSync("id", ["-u", name]).status !== 0) {
    const made = spawnSync("useradd", ["--create-home", "--shell", "/bin/sh", name]);
    if (made.status !== 0) return undefined;
  }
  const idOf = (flag: string): number =>
    Number(spawnSync("id", [flag, name], { encoding: "utf8" }).stdout.trim());
  return { uid: idOf("-u"), gid: idOf("-g") };
}
