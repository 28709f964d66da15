import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import type { DagSpec } from "../model/dag-spec.ts";
import type { AttemptEnd, AttemptHost, AttemptStart, GuestKey } from "../model/guest.ts";
import { chooseTasks } from "./choose-tasks.ts";
import { Results } from "./keep-results.ts";
import { type LocalEvent, type LocalOutcome, runDag } from "./run-dag.ts";

type Code = (
  start: AttemptStart,
  host: AttemptHost,
  signal: AbortSignal,
) => Promise<AttemptEnd> | AttemptEnd;
const usage = { cpu_s: 0, peak_memory_bytes: 0, start_ms: 0, wall_ms: 0 };
const good: AttemptEnd = { kind: "success" };

let folder: string;
let events: LocalEvent[];
let results: Results;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "local-run-"));
  events = [];
  results = new Results();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a DAG whose tasks are functions of ours. */
const run = (
  spec: DagSpec,
  code: Code,
  more: { signal?: AbortSignal; concurrency?: number } = {},
): Promise<LocalOutcome> =>
  runDag({
    spec,
    dagFile: "dags/d.py",
    guests: {
      run: async (_, start, host, signal) => ({ ...(await code(start, host, signal)), usage }),
    },
    keyOf: async () => ({}) as GuestKey,
    conf: { from: "conf" },
    params: {},
    logicalDateMs: Date.parse("2026-01-31T06:00:00Z"),
    things: { connections: new Map(), variables: new Map([["v", "1"]]) },
    results,
    artifactsDir: join(folder, "artifacts"),
    concurrency: more.concurrency ?? 4,
    onEvent: (event) => events.push(event),
    signal: more.signal ?? new AbortController().signal,
  });
const statesOf = (outcome: LocalOutcome): object =>
  Object.fromEntries(
    outcome.instances.map(({ task_id, map_index, state }) => [
      map_index < 0 ? task_id : `${task_id}[${map_index}]`,
      state,
    ]),
  );
const ref = (start: AttemptStart, task = start.task_id, index = start.map_index) => ({
  dag_id: start.dag_id,
  run_id: start.run.run_id,
  task_id: task,
  map_index: index,
  key: "return_value",
});

test("a mapped task gets one instance per element, and its results are there for what follows", async () => {
  const spec = dagSpec([
    { task_id: "list", downstream: ["each"] },
    {
      task_id: "each",
      downstream: ["sum"],
      map: {
        kind: "list",
        sources: [{ kind: "task", task_id: "list" as never, key: "return_value" }],
      },
    },
    { task_id: "sum" },
  ]);
  let total: unknown;
  const outcome = await run(spec, async (start, host) => {
    if (start.task_id === "list") {
      await host.setXCom(ref(start), [1, 2, 3]);
      return { kind: "success", mapped_length: 3 };
    }
    if (start.task_id === "each") await host.setXCom(ref(start), start.map_index * 10);
    else total = await host.listXComs(ref(start, "each" as never));
    return good;
  });
  expect(outcome.state).toBe("success");
  expect(total).toEqual([0, 10, 20]);
  expect(statesOf(outcome)).toEqual({
    list: "success",
    "each[0]": "success",
    "each[1]": "success",
    "each[2]": "success",
    sum: "success",
  });
});

test("a retry of five minutes goes on at once and says so; the try before leaves no results", async () => {
  const spec = dagSpec([{ task_id: "a", retries: 1, retry_delay_s: 300 }]);
  let before: unknown = "unset";
  const outcome = await run(spec, async (start, host) => {
    if (start.try_number === 1) {
      await host.setXCom(ref(start), "left behind");
      return { kind: "failed", retryable: true, reason: "not yet" };
    }
    before = await host.getXCom(ref(start));
    return good;
  });
  expect(outcome).toMatchObject({
    state: "success",
    instances: [{ state: "success", try_number: 2 }],
  });
  expect(outcome.instances[0]).not.toHaveProperty("reason");
  expect(before).toBeUndefined();
  expect(events).toContainEqual({
    kind: "note",
    text: expect.stringContaining("would wait 300 s") as string,
  });
});

test("what follows a failure is upstream_failed, and the reason stays with the one that failed", async () => {
  const spec = dagSpec([{ task_id: "a", downstream: ["b"] }, { task_id: "b" }]);
  const outcome = await run(spec, () => ({ kind: "failed", retryable: true, reason: "boom" }));
  expect(outcome.state).toBe("failed");
  expect(statesOf(outcome)).toEqual({ a: "failed", b: "upstream_failed" });
  expect(outcome.instances.find(({ task_id }) => task_id === "a")?.reason).toBe("boom");
});

test("a guest that cannot be started fails the task with its sentence instead of hanging the run", async () => {
  const outcome = await run(dagSpec([{ task_id: "a", retries: 3 }]), () => {
    throw new Error("there is no Python");
  });
  expect(outcome).toMatchObject({
    state: "failed",
    instances: [{ state: "failed", reason: "there is no Python" }],
  });
});

test("a branch skips what it does not follow", async () => {
  const spec = dagSpec([
    { task_id: "how", decides: "branch", downstream: ["yes", "no"] },
    { task_id: "yes" },
    { task_id: "no" },
  ]);
  const outcome = await run(spec, (start) =>
    start.task_id === "how"
      ? { kind: "success", skip: { followed: ["yes"], skipped: ["no"] } }
      : good,
  );
  expect(statesOf(outcome)).toEqual({ how: "success", yes: "success", no: "skipped" });
});

test("a sensor that reschedules itself keeps its try and its first start", async () => {
  const seen: (string | undefined)[] = [];
  const outcome = await run(dagSpec([{ task_id: "s" }]), (start) => {
    seen.push(start.first_reschedule_at);
    return seen.length < 3
      ? { kind: "reschedule", at: new Date(Date.now() + 5).toISOString() }
      : good;
  });
  expect(outcome).toMatchObject({ state: "success", instances: [{ try_number: 1 }] });
  expect(seen[0]).toBeUndefined();
  expect(seen[1]).toBeDefined();
  expect(seen[2]).toBe(seen[1]);
});

test("never more tasks at once than this machine, the DAG and the task allow", async () => {
  const spec = dagSpec(
    [
      ...["a", "b", "c", "d"].map((task_id) => ({ task_id })),
      {
        task_id: "m",
        max_active_tis_per_dagrun: 1,
        map: { kind: "list" as const, sources: [{ kind: "literal" as const, length: 4 }] },
      },
    ],
    { max_active_tasks: 3 },
  );
  let now = 0;
  let most = 0;
  let mapped = 0;
  let mostMapped = 0;
  await run(
    spec,
    async (start) => {
      const isMapped = start.task_id === "m";
      most = Math.max(most, ++now);
      if (isMapped) mostMapped = Math.max(mostMapped, ++mapped);
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
      if (isMapped) mapped -= 1;
      return good;
    },
    { concurrency: 8 },
  );
  expect(most).toBe(3);
  expect(mostMapped).toBe(1);
});

test("an abort ends what runs and fails the run; what waited does not start", async () => {
  const abort = new AbortController();
  const started: string[] = [];
  const outcome = await run(
    dagSpec([{ task_id: "a", downstream: ["b"] }, { task_id: "b" }]),
    (start, _, signal) => {
      started.push(start.task_id);
      abort.abort();
      return new Promise((resolve) => {
        const end = (): void => resolve({ kind: "stopped", reason: "stopped" });
        if (signal.aborted) end();
        else signal.addEventListener("abort", end);
      });
    },
    { signal: abort.signal },
  );
  expect(outcome.state).toBe("failed");
  expect(started).toEqual(["a"]);
});

test("a task writes its own results only, and its artifacts stay in its folder", async () => {
  const file = join(folder, "report.txt");
  writeFileSync(file, "hi");
  const refused: unknown[] = [];
  const outcome = await run(dagSpec([{ task_id: "a" }, { task_id: "b" }]), async (start, host) => {
    if (start.task_id === "b") return good;
    for (const attack of [
      () => host.setXCom({ ...ref(start), task_id: "b" }, 1),
      () => host.setXCom({ ...ref(start), run_id: "other" }, 1),
      () => host.artifact({ name: "../../escape", path: file, bytes: 2 }),
      () => host.artifact({ name: "/etc/escape", path: file, bytes: 2 }),
      () => host.artifact({ name: "", path: file, bytes: 2 }),
    ])
      await attack().catch((error: unknown) => refused.push(error));
    await host.artifact({ name: "out/report.txt", path: file, bytes: 2 });
    return good;
  });
  expect(refused).toHaveLength(5);
  expect(outcome.artifacts).toEqual([join(folder, "artifacts", "a", "out", "report.txt")]);
});

test("from a task on: what comes before counts as done, and a map over it has the length it had", async () => {
  const spec = dagSpec([
    { task_id: "list", downstream: ["each", "other"] },
    { task_id: "other" },
    {
      task_id: "each",
      downstream: ["end"],
      map: {
        kind: "list",
        sources: [{ kind: "task", task_id: "list" as never, key: "return_value" }],
      },
    },
    { task_id: "end" },
  ]);
  const before = new Results();
  expect(chooseTasks(spec, { kind: "from", task_id: "each" }, before)).toMatchObject({
    ok: false,
    problem: expect.stringContaining("list") as string,
  });
  expect(chooseTasks(spec, { kind: "task", task_id: "nope" }, before)).toMatchObject({ ok: false });
  before.set("list", -1, "return_value", ["x", "y"]);
  const chosen = chooseTasks(
    spec,
    { kind: "from", task_id: "each" },
    Results.fromJson(JSON.parse(JSON.stringify(before.toJson()))),
  );
  if (!chosen.ok) throw new Error(chosen.problem);
  results.takeFrom(before, () => true);
  const seen: unknown[] = [];
  const outcome = await run(chosen.value, async (start, host) => {
    if (start.task_id === "each") seen.push(await host.getXCom(ref(start, "list" as never, -1)));
    return good;
  });
  expect(statesOf(outcome)).toEqual({ "each[0]": "success", "each[1]": "success", end: "success" });
  expect(seen).toEqual([
    ["x", "y"],
    ["x", "y"],
  ]);
});
