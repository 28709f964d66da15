/** The real supervisor and the real sandbox: what the stage of the other tests plays is what they do. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DagSpec } from "../../../platform/model/dag-spec.ts";
import type { AttemptStart, GuestKey, ParsedFile } from "../../../platform/model/guest.ts";
import { known } from "../../../platform/model/ids.ts";
import type { Json } from "../../../platform/model/json.ts";
import { type Stage, setStage, type Told } from "../../supervisor/test-guest/stage.ts";
import { bundleGuest } from "./bundle-guest.ts";
import { runWith } from "./stage.ts";

const folder = mkdtempSync(join(tmpdir(), "with-supervisor-"));
let stage: Stage;
let key: GuestKey;

beforeAll(async () => {
  chmodSync(folder, 0o755);
  const program = join(folder, "program");
  await bundleGuest(program);
  const bundleDir = join(folder, "bundle");
  cpSync(join(import.meta.dirname, "samples"), bundleDir, { recursive: true });
  stage = await setStage(undefined, { programs: { node: { dir: program, entry: "main.js" } } });
  key = stage.key({ kind: "node", bundleDir }, { memoryBytes: 512 << 20 });
});
afterAll(async () => {
  await stage.close();
  rmSync(folder, { recursive: true, force: true });
});

async function parsed(file: string): Promise<ParsedFile> {
  for await (const found of stage.guests.parse(
    { key, files: [file], dagsFolder: "dags" },
    { getConnection: async () => undefined, getVariable: async () => undefined },
    new AbortController().signal,
  ))
    return found;
  throw new Error("no answer");
}

const run = (
  start: Partial<AttemptStart>,
  xcoms: ReadonlyMap<string, Json>,
  signal?: AbortSignal,
): Promise<Told> =>
  stage.run("", {
    key,
    start: { run: runWith({ region: "eu", limit: 3 }), ...start },
    host: {
      getXCom: async ({ task_id, key: name }) => xcoms.get(`${task_id}.${name}`),
      getVariable: async () => "yes",
    },
    ...(signal === undefined ? {} : { signal }),
  });

test.each(["dags/orders.dag.ts", "dags/orders.dag.yaml"])(
  "%s is read and its tasks run",
  async (file) => {
    const { dags, errors, inputs } = await parsed(file);
    expect(errors).toEqual([]);
    expect(inputs[0]).toBe(file);
    const dag = dags[0] as DagSpec;
    const start = (task: string): Partial<AttemptStart> => {
      const payload = dag.tasks.find((one) => one.task_id === task)?.payload;
      return {
        dag_file: file,
        dag_id: dag.dag_id,
        task_id: known.task(task),
        ...(payload === undefined ? {} : { payload }),
      };
    };
    const extract = await run(start("extract"), new Map());
    expect(extract.outcome).toMatchObject({ kind: "success" });
    expect(extract.xcoms.get("rows")).toHaveLength(2);
    const report = await run(
      start("report"),
      new Map([["load.total.return_value", { sum: 460, count: 2 }]]),
    );
    expect(report.outcome).toMatchObject({ kind: "success" });
    expect(report.outcome.usage.start_ms).toBeGreaterThan(0);
    await expect.poll(() => report.text).toContain("460 cents");
    expect(report.artifacts).toEqual([
      { name: "report.txt", text: expect.stringContaining("460 cents") as string },
    ]);
    const how = await run(
      start("how"),
      new Map([["load.total.return_value", { sum: 460, count: 2 }]]),
    );
    expect(how.outcome).toMatchObject({
      kind: "success",
      skip: { followed: ["report"], skipped: ["nothing"] },
    });
    const missing = await run(start("report"), new Map([["load.total.return_value", {}]]));
    expect(missing.outcome).toMatchObject({
      kind: "failed",
      retryable: true,
      reason: expect.stringContaining('the output of "load.total" has no "sum"') as string,
    });
  },
);

test("what a branch chose is read although its end was noticed before its last frame", async () => {
  const { dags } = await parsed("dags/orders.dag.yaml");
  const payload = (dags[0] as DagSpec).tasks.find((one) => one.task_id === "how")?.payload;
  const { outcome } = await stage.run("", {
    key,
    start: {
      run: runWith({ region: "eu", limit: 3 }),
      dag_file: "dags/orders.dag.yaml",
      dag_id: (dags[0] as DagSpec).dag_id,
      task_id: known.task("how"),
      ...(payload === undefined ? {} : { payload }),
    },
    host: {
      getXCom: async () => ({ sum: 460, count: 2 }),
      getVariable: async () => "yes",
      // All it has left to do is to say how it ended, and to end.
      setXCom: () => untilOursHangs(),
    },
  });
  expect(outcome).toMatchObject({
    kind: "success",
    skip: { followed: ["report"], skipped: ["nothing"] },
  });
});

/**
 * Resolves in a round of the event loop that has a process's end on its list already, and holds that round up
 * for a second: who ends meanwhile is reaped with the other, before anybody asks what its sockets hold.
 */
async function untilOursHangs(): Promise<void> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const [[peer], client] = await Promise.all([
    once(server, "connection") as Promise<[ReturnType<typeof connect>]>,
    (async () => {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    })(),
  ]);
  const { promise, resolve } = Promise.withResolvers<void>();
  peer.once("data", () => {
    resolve();
    void (async () => {
      // The answer to the task is written in one of these turns.
      for (let turn = 0; turn < 100; turn++) await Promise.resolve();
      hang(1000);
      peer.destroy();
      client.destroy();
      server.close();
    })();
  });
  setImmediate(() => {
    spawn("true");
    client.write("x");
    hang(200);
  });
  return promise;
}

function hang(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}
