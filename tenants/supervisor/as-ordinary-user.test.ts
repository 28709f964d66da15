/** The same sandbox and supervisor, started by somebody who is not root. */
import { execFile } from "node:child_process";
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stoppedAt } from "../sandbox/reach.ts";

const user = 61_234;
const house = fileURLToPath(new URL("../..", import.meta.url));
const root = process.getuid?.() === 0;
const reachable = stoppedAt(process.execPath, user, "run") === undefined;
let folder: string;
if (!root || !reachable)
  console.warn(
    `SKIPPED: an ordinary user: ${root ? `uid ${String(user)} cannot run ${process.execPath}` : "only root can become another user"}`,
  );

describe.skipIf(!root || !reachable)("an ordinary user", () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "ordinary-"));
    chmodSync(folder, 0o755);
    for (const room of [
      "platform/model",
      "ops/failpoints",
      "tenants/sandbox",
      "tenants/supervisor",
    ])
      cpSync(join(house, room), join(folder, room), { recursive: true });
    cpSync(join(house, "package.json"), join(folder, "package.json"));
    mkdirSync(join(folder, "home"));
    chownSync(join(folder, "home"), user, user);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(["bubblewrap", "namespaces", "plain"])(
    "runs, limits and says what it cannot with the %s driver",
    async (driver) => {
      const { stdout } = await promisify(execFile)(
        "setpriv",
        [
          "--reuid",
          String(user),
          "--regid",
          String(user),
          "--clear-groups",
          process.execPath,
          join(folder, "tenants/supervisor/test-guest/live-as-user.ts"),
          driver,
        ],
        { env: { PATH: process.env["PATH"], HOME: join(folder, "home") }, timeout: 60_000 },
      );
      const seen = JSON.parse(stdout) as { readonly [name: string]: unknown };
      expect(seen).toMatchObject({
        uid: user,
        driver,
        worked: ["success", "hello"],
        greedy: { kind: "failed" },
        forking: "stopped",
        single: "success",
        parsed: 1,
        shut: driver === "plain" ? "open" : "shut",
      });
      expect(seen["usage"]).toBeGreaterThan(0);
      expect(JSON.stringify(seen["warnings"])).toContain("Not root");
    },
    90_000,
  );
});
