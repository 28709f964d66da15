import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReachTarget } from "../../platform/model/reach.ts";
import { type Driver, openSandbox, type Sandbox } from "../sandbox/open-sandbox.ts";
import { probeTarget } from "./probe-target.ts";

const root = process.getuid?.() === 0;
const uid = root ? 43_000 + (process.pid % 10_000) : (process.getuid?.() ?? 0);

describe.each<Driver>(["bubblewrap", "namespaces", "plain"])(
  "a probe in the %s driver",
  (driver) => {
    const folder = mkdtempSync(join(tmpdir(), "probe-"));
    let sandbox: Sandbox | undefined;
    const servers: Server[] = [];
    const listen = (server: Server): Promise<number> =>
      new Promise((done) => {
        servers.push(server);
        server.listen(0, "127.0.0.1", () => done((server.address() as { port: number }).port));
      });
    beforeAll(async () => {
      chmodSync(folder, 0o755);
      sandbox = await openSandbox({ want: driver, stateDir: join(folder, "state") }).catch(
        (error: Error) => {
          console.warn(`SKIPPED: the ${driver} driver: ${error.message}`);
          return undefined;
        },
      );
    });
    afterAll(async () => {
      for (const server of servers) server.close();
      await sandbox?.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const probe = async (
      target: Partial<ReachTarget> & { port: number },
      { egress = true, deadlineMs = 10_000 } = {},
    ) => {
      if (sandbox === undefined) throw new Error("no sandbox");
      const whole = { host: "127.0.0.1", tls: false, ...target };
      const { ms: _, ...answer } = await probeTarget(
        whole,
        { uid, egress: egress ? [{ host: whole.host, port: whole.port }] : [] },
        { sandbox, deadlineMs },
      );
      return answer;
    };

    test("tells what was reached and what was not, and never what it was told", async (context) => {
      if (sandbox === undefined) return context.skip();
      const speaks = await listen(createServer((socket) => socket.end("220 secret banner\r\n")));
      const silent = await listen(createServer(() => undefined));
      expect((await probe({ port: speaks })).outcome).toMatch(
        sandbox.binds ? /^reached$/ : /^(?:reached|closed)$/,
      );
      expect(await probe({ port: silent })).toEqual({ outcome: "reached" });
      const closed = createServer();
      const gone = await listen(closed);
      await new Promise((done) => closed.close(done));
      expect(await probe({ port: gone })).toEqual({ outcome: "refused", code: "ECONNREFUSED" });
      expect(await probe({ port: silent, tls: true }, { deadlineMs: 1_500 })).toEqual({
        outcome: "timeout",
      });
      expect(await probe({ host: "no-such-name.invalid", port: 5432 })).toMatchObject({
        outcome: "no_name",
      });
      if (sandbox.binds) {
        expect(await probe({ port: silent }, { egress: false })).toEqual({
          outcome: "not_allowed",
        });
        expect(await probe({ host: "db.example.org", port: 1 }, { egress: false })).toEqual({
          outcome: "not_allowed",
        });
      }
    }, 60_000);

    test("a certificate that nobody vouches for is told as such", async (context) => {
      if (sandbox === undefined) return context.skip();
      const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
      execFileSync(
        "openssl",
        [
          "req",
          "-x509",
          "-newkey",
          "rsa:2048",
          "-nodes",
          "-days",
          "1",
          "-subj",
          "/CN=127.0.0.1",
        ].concat(["-keyout", key, "-out", cert]),
        { stdio: "ignore" },
      );
      const port = await listen(
        createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }),
      );
      expect(await probe({ port, tls: true })).toEqual({
        outcome: "tls",
        code: "DEPTH_ZERO_SELF_SIGNED_CERT",
      });
      const plain = await listen(createServer((socket) => socket.end("not TLS")));
      expect((await probe({ port: plain, tls: true })).outcome).toMatch(/^(?:tls|closed)$/);
    }, 30_000);
  },
);
