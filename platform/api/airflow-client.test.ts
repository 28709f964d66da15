import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { serve } from "@hono/node-server";
import { expect, test } from "vitest";
import { openApiStage, password } from "../../test/kit/api-stage.ts";

const run = promisify(execFile);
const version = "3.2.1";

test("Apache Airflow's own Python client reads and changes a tenant through its base URL", async ({
  skip,
}) => {
  const python = await clientPython();
  skip(
    python === undefined,
    `SKIPPED: apache-airflow-client ${version} could not be installed (python3 with venv, and a package index, are needed)`,
  );
  const stage = await openApiStage();
  const server = serve({
    fetch: (request) => stage.api.fetch(request),
    port: 0,
    hostname: "127.0.0.1",
  });
  try {
    if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const script = join(import.meta.dirname, "airflow-client.py");
    const host = `http://127.0.0.1:${port}/t/acme`;
    const { stdout } = await run(python ?? "", [script, host, "dan", password], {
      timeout: 60_000,
    });
    expect((JSON.parse(stdout) as string[]).length).toBeGreaterThan(30);
    expect(stage.surprises).toEqual([]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
    await stage.close();
  }
}, 180_000);

/** An interpreter that has the client; made once and kept beside other temporary files. */
async function clientPython(): Promise<string | undefined> {
  const folder = join(tmpdir(), `airlock-airflow-client-${version}`);
  const python = join(folder, "bin", "python");
  const ready = join(folder, "ready");
  if (existsSync(ready)) return python;
  try {
    await run("python3", ["-m", "venv", folder]);
    const wanted = `apache-airflow-client==${version}`;
    await run(python, ["-m", "pip", "install", "--quiet", wanted], { timeout: 120_000 });
    await run("touch", [ready]);
    return python;
  } catch (error) {
    console.warn(`no apache-airflow-client: ${String(error).slice(0, 300)}`);
    return undefined;
  }
}
