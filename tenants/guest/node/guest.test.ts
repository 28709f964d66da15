import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DagSpec, TaskSpec } from "../../../platform/model/dag-spec.ts";
import type { AttemptStart } from "../../../platform/model/guest.ts";
import { known } from "../../../platform/model/ids.ts";
import type { Json } from "../../../platform/model/json.ts";
import { bundleGuest } from "./bundle-guest.ts";
import { type Facts, type Host, type Parsed, runWith, Stage } from "./stage.ts";

const samples = join(import.meta.dirname, "samples");
const sampleFiles = Object.fromEntries(
  readdirSync(samples, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(samples, path)).isFile())
    .map((path) => [path, readFileSync(join(samples, path), "utf8")]),
);

/** The built guest: what a sandbox gets, and it starts twice as fast. */
let stage: Stage;
const built = mkdtempSync(join(tmpdir(), "guest-built-"));
beforeAll(async () => {
  stage = await Stage.open(sampleFiles, await bundleGuest(built));
});
afterAll(async () => {
  await stage.close();
  rmSync(built, { recursive: true });
});

let count = 0;
/** A TypeScript DAG "d" with this in its `build`. */
const typescript = (build: string, before = ""): string => {
  const path = `dags/t${++count}.dag.ts`;
  stage.write(
    path,
    `import * as airlock from "airlock";\nimport { bash, dag, done, fail, skip, useContext } from "airlock";\n${before}\nexport default dag({ id: "d", build({ task, map, branch, shortCircuit, sensor, group, op }) {\n${build}\n} });\n`,
  );
  return path;
};
const runTypescript = (
  build: string,
  more: Partial<AttemptStart> = {},
  host: Host = {},
): Promise<Facts> =>
  stage.run({ dag_file: typescript(build), task_id: known.task("x"), ...more }, host);

/** The task "x" of a YAML DAG "d". */
const runYaml = async (
  tasks: string,
  more: Partial<AttemptStart> = {},
  host: Host = {},
): Promise<Facts> => {
  const path = `dags/y${++count}.dag.yaml`;
  stage.write(
    path,
    `id: d\nparams: { p: { type: string }, n: { type: integer } }\ntasks:\n${tasks}`,
  );
  const parsed = await stage.parse(path);
  expect(parsed.errors).toEqual([]);
  const task = parsed.dags[0]?.tasks.find((one) => one.task_id === "x");
  return stage.run({ dag_file: path, task_id: known.task("x"), ...payloadOf(task), ...more }, host);
};
const payloadOf = (task: TaskSpec | undefined): { payload?: Json } =>
  task?.payload === undefined ? {} : { payload: task.payload };

/** Runs all tasks in the order they are written, mapped ones once per element. */
async function runAll(
  on: Stage,
  file: string,
  dag: DagSpec,
  xcoms: Map<string, Json>,
): Promise<Facts[]> {
  const facts: Facts[] = [];
  for (const task of dag.tasks.filter((one) => one.runs_in === "node")) {
    const rows = xcoms.get("extract.rows");
    const instances = task.map === undefined ? 1 : Array.isArray(rows) ? rows.length : 0;
    for (let index = 0; index < instances; index++)
      facts.push(
        await on.run(
          {
            dag_file: file,
            dag_id: dag.dag_id,
            task_id: task.task_id,
            map_index: task.map === undefined ? -1 : index,
            run: runWith({ region: "eu", limit: 3 }),
            ...payloadOf(task),
          },
          { xcoms, variables: { orders_open: "yes" } },
        ),
      );
  }
  return facts;
}

describe("a whole DAG", () => {
  test.each(["dags/orders.dag.ts", "dags/orders.dag.yaml"])(
    "%s is read and runs to its end",
    async (file) => {
      const { dags, errors, warnings, inputs, facts } = await stage.parse(file);
      expect({ errors, warnings, exit: facts.exitCode, diagnostics: facts.diagnostics }).toEqual({
        errors: [],
        warnings: [],
        exit: 0,
        diagnostics: "",
      });
      expect(inputs).toEqual([
        file,
        file.endsWith(".ts") ? "dags/lib/orders.ts" : "dags/extract.py",
      ]);
      const xcoms = new Map<string, Json>();
      const [dag] = dags;
      if (dag === undefined) throw new Error("no DAG");
      const all = await runAll(stage, file, dag, xcoms);
      expect(all.map(({ terminal }) => terminal?.type)).toEqual(all.map(() => "SucceedTask"));
      expect(xcoms.get("clean[1].return_value")).toEqual({ id: 2, cents: 340 });
      expect(xcoms.get("load.total.return_value")).toMatchObject({ sum: 460, count: 2 });
      expect(
        all.find(({ terminal }) => terminal?.["skip"] !== undefined)?.terminal?.["skip"],
      ).toEqual({
        followed: ["report"],
        skipped: ["nothing"],
      });
      expect(all.map(({ stdout }) => stdout).join("")).toContain("460 cents");
    },
  );

  test("the guest from source does the same as the built one", async () => {
    const source = await Stage.open(sampleFiles);
    for (const file of ["dags/orders.dag.ts", "dags/orders.dag.yaml"]) {
      const { dags, errors } = await source.parse(file);
      expect(errors).toEqual([]);
      const all = await runAll(source, file, dags[0] as DagSpec, new Map());
      expect(all.map(({ terminal }) => terminal?.type)).toEqual(all.map(() => "SucceedTask"));
    }
    await source.close();
  });
});

describe("reading a TypeScript file that is wrong", () => {
  const parseText = (text: string): Promise<Parsed & { readonly facts: Facts }> => {
    const path = `dags/p${++count}.dag.ts`;
    stage.write(path, text);
    return stage.parse(path);
  };
  const dagOf = (id: string): string =>
    `dag({ id: "${id}", build({ task }) { task("a", { run: () => 1 }); } });\n`;

  test.each([
    ["a syntax error", "const a = 1;\nconst b = = 2;\n", 2, 11, /SyntaxError: Expression expected/],
    ["an enum", "const a = 1;\nenum A { B }\n", 2, 1, /enum is not supported/],
    [
      "an exception",
      "const f = (): never => {\n  throw new TypeError('boo');\n};\nf();\n",
      2,
      9,
      /^TypeError: boo$/,
    ],
    [
      "a missing module",
      "const a = 1;\nimport { x } from './nope.ts';\n",
      2,
      19,
      /Cannot find module/,
    ],
    ["a missing package", "import x from 'left-pad';\n", 1, 15, /Cannot find package 'left-pad'/],
    ["a missing export", "import { dag, corn } from 'airlock';\n", 1, 15, /corn/],
    [
      "process.exit",
      "const a = 1;\nprocess.exit(3);\n",
      2,
      9,
      /called process.exit\(3\) while it was read/,
    ],
  ])("%s has its place", async (_name, text, line, column, message) => {
    const { dags, errors, facts } = await parseText(text);
    expect(dags).toEqual([]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ line, column });
    expect(errors[0]?.message).toMatch(message);
    expect(errors[0]?.message).not.toContain(stage.root);
    expect(facts.diagnostics).toBe("");
  });

  test("mistakes in a DAG are told with their lines, all at once", async () => {
    const { errors } = await parseText(
      `import { dag } from "airlock";\ndag({ id: "d", build({ task }) {\n  task("a", { run: () => 1 });\n  task("a", { retries: -1, run: () => 1 });\n} });\n`,
    );
    expect(errors.map(({ line, message }) => [line, message])).toEqual([
      [4, 'the id "a" is used twice in this DAG'],
      [4, '"a": retries must be a whole number from 0'],
    ]);
  });

  test("DAGs are found without an export, one id twice is refused, none is a warning", async () => {
    const two = await parseText(`import { dag } from "airlock";\n${dagOf("a")}${dagOf("b")}`);
    expect(two.dags.map((dag) => dag.dag_id)).toEqual(["a", "b"]);
    const twice = await parseText(`import { dag } from "airlock";\n${dagOf("a")}${dagOf("a")}`);
    expect(twice).toMatchObject({ dags: [], errors: [{ line: 3, message: /twice/ }] });
    expect((await parseText("export const a = 1;\n")).warnings).toHaveLength(1);
  });

  test("a promise that nothing settles is an end, not a wait", async () => {
    const { errors } = await parseText("await new Promise(() => {});\n");
    expect(errors[0]?.message).toContain("waits for something that can no longer happen");
  });

  test("what it prints goes to the log, not between the frames", async () => {
    const { errors, facts } = await parseText(
      `import { dag } from "airlock";\nimport { writeSync } from "node:fs";\nconsole.log("hello");\nwriteSync(1, "raw\\n");\n${dagOf("a")}`,
    );
    expect(errors).toEqual([]);
    expect(facts.stdout).toBe("hello\nraw\n");
  });

  test("a file that loops for ever can be ended from outside", async () => {
    const spare = await stage.spare("task");
    const path = `dags/loop${++count}.dag.ts`;
    stage.write(path, "console.log('in'); while (true);\n");
    const ended = stage.run({ dag_file: path, task_id: known.task("x") }, {}, spare);
    await new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (
          Number(readFileSync(`/proc/${String(spare.guest.pid)}/stat`, "utf8").split(" ")[13]) > 40
        ) {
          clearInterval(look);
          resolve();
        }
      }, 50);
    });
    spare.guest.kill("SIGKILL");
    expect(await ended).toMatchObject({ terminal: undefined, signal: "SIGKILL", stdout: "in\n" });
  });

  test("zod describes params, and its defaults and types reach the task", async () => {
    const zod = dirname(createRequire(import.meta.url).resolve("zod/package.json"));
    const own = await Stage.open({}, join(built, "main.js"));
    symlinkSync(dirname(zod), join(own.root, "node_modules"));
    own.write(
      "dags/z.dag.ts",
      `import { dag } from "airlock";\nimport * as z from "zod";\nexport default dag({ id: "d", params: z.object({ n: z.number().int().default(3).describe("how many"), on: z.string().transform((t) => t.length) }), build({ task }) { task("x", { run: ({ params }) => params }); } });\n`,
    );
    const { dags, packages, errors } = await own.parse("dags/z.dag.ts");
    expect({ errors, packages }).toEqual({ errors: [], packages: ["zod"] });
    expect(dags[0]?.params["n"]).toMatchObject({
      description: "how many",
      schema: { type: "integer", default: 3 },
    });
    const start = { dag_file: "dags/z.dag.ts", task_id: known.task("x") };
    const spare = await own.spare("task", ["zod", "not-there"]);
    const fit = await own.run({ ...start, run: runWith({ on: "four" }) }, {}, spare);
    expect(fit.xcoms.get("x.return_value")).toEqual({ n: 3, on: 4 });
    const misfit = await own.run({ ...start, run: runWith({ on: 4 }) });
    expect(misfit.terminal?.["reason"]).toContain("the run's params do not fit: on:");
    await own.close();
  });
});

describe("how an attempt ends", () => {
  test("an error is told by class and message, its trace holds the author's lines only", async () => {
    const { terminal, logs, exitCode } = await runTypescript(
      `class Broken extends Error {}\ntask("x", { run: () => {\n  throw new Broken("no rows", { cause: new TypeError("deeper") });\n} });`,
    );
    expect(terminal).toMatchObject({ type: "RetryTask", reason: "Broken: no rows" });
    expect(logs.join("\n")).toMatch(
      /^error: Broken: no rows\n {4}at dags\/t\d+\.dag\.ts:7:9\nCaused by TypeError: deeper$/,
    );
    expect(exitCode).toBe(0);
  });

  test.each([
    [
      "skip",
      `throw skip("nothing new");`,
      { type: "TaskState", state: "skipped", reason: "nothing new" },
    ],
    [
      "fail for good",
      `throw fail("gone", { retry: false });`,
      { type: "TaskState", state: "failed", reason: "Fail: gone" },
    ],
    ["fail", `throw fail("later");`, { type: "RetryTask", reason: "Fail: later" }],
    ["a string thrown", `throw "boo";`, { type: "RetryTask", reason: "boo" }],
    [
      "a rejection nobody waits for",
      `void Promise.reject(new TypeError("lost")); await new Promise((r) => setTimeout(r, 1000));`,
      { type: "RetryTask", reason: "TypeError: lost" },
    ],
    [
      "an exception in a timer",
      `setTimeout(() => { throw new TypeError("late"); }, 1); await new Promise((r) => setTimeout(r, 1000));`,
      { type: "RetryTask", reason: "TypeError: late" },
    ],
    [
      "process.exit(0)",
      "process.exit(0);",
      { type: "RetryTask", reason: "the task called process.exit(0) before it had ended" },
    ],
    [
      "a promise that nothing settles",
      "await new Promise(() => {});",
      { type: "RetryTask", reason: expect.stringContaining("no longer happen") as string },
    ],
    [
      "a BigInt",
      "return { n: 3n };",
      {
        type: "RetryTask",
        reason: expect.stringContaining("what the task returned is no JSON") as string,
      },
    ],
    [
      "a function",
      "return () => 1;",
      {
        type: "RetryTask",
        reason: expect.stringContaining("a function, which JSON cannot carry") as string,
      },
    ],
  ])("%s", async (_name, body, expected) => {
    const { terminal, diagnostics } = await runTypescript(
      `task("x", { run: async () => { ${body} } });`,
    );
    expect(terminal).toMatchObject(expected);
    expect(diagnostics).toBe("");
  });

  test("a huge XCom is refused by name and size, before it is sent", async () => {
    const { terminal, messages } = await runTypescript(
      `task("x", { run: () => "y".repeat(3_000_000) });`,
      { xcom_bytes: 1024 * 1024 } as Partial<AttemptStart>,
    );
    expect(terminal?.["reason"]).toContain(
      "is 2.9 MiB as JSON, more than the 1.0 MiB an XCom may have",
    );
    expect(messages.map(({ type }) => type)).not.toContain("SetXCom");
  });

  test("the supervisor's refusal is the task's reason", async () => {
    const { terminal } = await runTypescript(
      `task("x", { run: () => 1 });`,
      {},
      {
        answer: ({ type }) =>
          type === "SetXCom"
            ? { type: "ErrorResponse", error: "GENERIC_ERROR", detail: "the run's XComs are full" }
            : undefined,
      },
    );
    expect(terminal).toMatchObject({
      type: "RetryTask",
      reason: "SupervisorError: the run's XComs are full",
    });
  });

  test("its timeout aborts the signal and ends it, whether it listens or not", async () => {
    const { terminal, stdout } = await runTypescript(
      `task("x", { run: async ({ signal }) => { signal.addEventListener("abort", () => console.log("told")); await new Promise((r) => setTimeout(r, 60_000)); } });`,
      { execution_timeout_s: 0.2 },
    );
    expect(terminal?.["reason"]).toBe(
      "TaskTimeout: the task did not end within its timeout of 0.2 s",
    );
    expect(stdout).toBe("told\n");
  });

  test("SIGTERM aborts the signal; the code may clean up before it ends", async () => {
    const { terminal, stdout } = await runTypescript(
      `task("x", { run: ({ signal }) => new Promise((_, reject) => { signal.addEventListener("abort", () => { console.log("cleaning"); reject(signal.reason); }); setTimeout(() => {}, 60_000); }) });`,
      {},
      { onStarted: (guest) => guest.kill("SIGTERM") },
    );
    expect(stdout).toBe("cleaning\n");
    expect(terminal).toMatchObject({ type: "RetryTask", reason: "Error: the task was stopped" });
  });

  test("code that ignores SIGTERM is ended before the supervisor has to kill", async () => {
    const { terminal, exitCode } = await runTypescript(
      `task("x", { run: () => new Promise((r) => setTimeout(r, 60_000)) });`,
      {},
      { onStarted: (guest) => guest.kill("SIGTERM") },
    );
    expect({ terminal, exitCode }).toEqual({ terminal: undefined, exitCode: 143 });
  });

  test("patched globals do not change the last word", async () => {
    const { terminal, xcoms, exitCode } = await runTypescript(
      `task("x", { run: () => { JSON.stringify = () => '"forged"'; JSON.parse = () => "forged"; process.exit = (() => {}) as never; Date.now = () => 0; globalThis.setTimeout = (() => {}) as never; process.emit = () => true; return { a: 1 }; } });`,
    );
    expect(terminal?.type).toBe("SucceedTask");
    expect(xcoms.get("x.return_value")).toEqual({ a: 1 });
    expect(exitCode).toBe(0);
  });

  test("what subprocesses print arrives, in order with its own", async () => {
    const { stdout, stderr } = await runTypescript(
      `task("x", { run: async () => { const { execSync, spawnSync } = await import("node:child_process"); console.log("one"); spawnSync("sh", ["-c", "echo two; echo bad >&2; cat"], { stdio: "inherit" }); console.log("three"); console.error("worse"); } });`,
    );
    expect(stdout).toBe("one\ntwo\nthree\n");
    expect(stderr).toBe("bad\nworse\n");
  });

  test("a task or DAG that is no longer in the file is said by name", async () => {
    const gone = await runTypescript(`task("other", { run: () => 1 });`);
    expect(gone.terminal?.["reason"]).toBe('Error: the DAG "d" no longer has a task "x"');
    const file = typescript(`task("x", { run: () => 1 });`);
    const renamed = await stage.run({
      dag_file: file,
      dag_id: known.dag("other"),
      task_id: known.task("x"),
    });
    expect(renamed.terminal?.["reason"]).toContain('no longer declares the DAG "other"');
  });
});

describe("what a task gets and leaves", () => {
  test("its context: facts, connection, variable, XComs of others, log, artifacts", async () => {
    const { xcoms, logs, terminal } = await runTypescript(
      `const deep = () => useContext().run.id;
       task("x", { run: async (c) => {
         c.log.warning("careful", { n: 1 });
         const { writeFileSync } = await import("node:fs");
         writeFileSync(c.artifacts + "/a.txt", "a");
         await c.xcom.push("extra", [1]);
         return { ds: c.logicalDate.toISOString(), from: c.dataInterval.start, attempt: c.attempt, deep: deep(), conf: c.run.conf,
           conn: await c.conn("db"), variable: await c.variable("v"), none: (await c.variable("w")) ?? null, other: await c.xcom.pull("other"), all: await c.xcom.pull("m", { mapIndex: 1 }),
           missing: await c.conn("nope").catch((e) => e.message) };
       } });`,
      { try_number: 2, run: runWith({}, { a: 1 }) },
      {
        variables: { v: "value" },
        connections: {
          db: { conn_type: "postgres", host: "h", port: 5432, extra: '{"sslmode":"require"}' },
        },
        xcoms: new Map<string, Json>([
          ["other.return_value", { k: 1 }],
          ["m[1].return_value", "one"],
        ]),
      },
    );
    expect(terminal?.type).toBe("SucceedTask");
    expect(xcoms.get("x.return_value")).toEqual({
      ds: "2026-11-20T06:00:00.000Z",
      from: "2026-11-19T06:00:00.000Z",
      attempt: 2,
      deep: "manual__2026-11-20T06:00:00+00:00",
      conf: { a: 1 },
      conn: { id: "db", type: "postgres", host: "h", port: 5432, extra: { sslmode: "require" } },
      variable: "value",
      none: null,
      other: { k: 1 },
      all: "one",
      missing: 'the connection "nope" does not exist, or this DAG may not use it',
    });
    expect(xcoms.get("x.extra")).toEqual([1]);
    expect(logs).toContain("warning: careful n=1");
  });

  test("references anywhere in its input, a mapped upstream as a list, a skipped one as undefined", async () => {
    const { xcoms } = await runTypescript(
      `const a = task("a", { run: () => ({ deep: { n: 1 } }) });
       const m = map("m", [1, 2], { run: (n) => n * 2 });
       const s = task("s", { run: () => "never" });
       task("x", { in: { list: [a.get("deep").get("n"), "as it is"], all: m, gone: s }, triggerRule: "all_done", run: (given) => ({ ...given, gone: given.gone === undefined }) });`,
      {},
      {
        xcoms: new Map<string, Json>([
          ["a.return_value", { deep: { n: 7 } }],
          ["m[0].return_value", 2],
          ["m[1].return_value", 4],
        ]),
      },
    );
    expect(xcoms.get("x.return_value")).toEqual({ list: [7, "as it is"], all: [2, 4], gone: true });
  });

  test("a missing field is named, with what is there instead", async () => {
    const { terminal } = await runTypescript(
      `const a = task("a", { run: () => ({ rows: [1] }) }); task("x", { in: a.get("rows"), run: (rows) => rows });`,
      {},
      { xcoms: new Map<string, Json>([["a.return_value", { lines: [1] }]]) },
    );
    expect(terminal?.["reason"]).toBe(
      'TypeError: the output of "a" has no "rows" (it is an object with lines)',
    );
  });

  test("mapped instances get their element: of a list, of an output, of a mapped task", async () => {
    const build = (over: string): string =>
      `const a = task("a", { run: () => ["p", "q"] }); const m = map("m", a, { run: (s) => s + "!" }); map("x", ${over}, { in: { tag: a }, run: (item, { tag }, { mapIndex }) => [item, tag.length, mapIndex] });`;
    const xcoms = (): Map<string, Json> =>
      new Map<string, Json>([
        ["a.return_value", ["p", "q"]],
        ["m[0].return_value", "p!"],
        ["m[1].return_value", "q!"],
      ]);
    for (const [over, expected] of [
      ['["u", "v"]', "v"],
      ["a", "q"],
      ["m", "q!"],
    ] as const) {
      const facts = await runTypescript(build(over), { map_index: 1 }, { xcoms: xcoms() });
      expect(facts.xcoms.get("x[1].return_value")).toEqual([expected, 2, 1]);
    }
    const beyond = await runTypescript(build("a"), { map_index: 5 }, { xcoms: xcoms() });
    expect(beyond.terminal?.["reason"]).toContain('"a" left 2 elements, there is none at index 5');
  });

  test("the length is pushed where a downstream maps, and nothing to map over is an error", async () => {
    const lengths = ({ messages }: Facts): unknown[] =>
      messages
        .filter(({ type }) => type === "SetXCom")
        .map((message) => [message["key"], message["mapped_length"]]);
    expect(
      lengths(await runTypescript(`task("x", { run: () => [1, 2, 3] });`, { push_length: true })),
    ).toEqual([["return_value", 3]]);
    expect(
      lengths(
        await runTypescript(
          `const x = task("x", { run: () => ({ rows: [1, 2] }) }); map("m", x.get("rows"), { run: (r) => r });`,
        ),
      ),
    ).toEqual([
      ["rows", 2],
      ["return_value", null],
    ]);
    const nothing = await runTypescript(`task("x", { run: () => {} });`, { push_length: true });
    expect(nothing.terminal?.["reason"]).toContain(
      "a later task maps over what this task returns, so it must be a list, not nothing",
    );
  });

  test("branches inside groups, joins that stay, short circuits near and far", async () => {
    const branchBuild = `group("g", ({ task, branch }) => {
      const b = branch("x", { to: ["l", "r"], run: () => "l" });
      const l = task("l", { run: () => 1 }); const r = task("r", { run: () => 1 });
      task("join", { triggerRule: "none_failed", run: () => 1 }).after(l, r, b);
    });`;
    const branched = await runTypescript(branchBuild, { task_id: known.task("g.x") });
    expect(branched.terminal?.["skip"]).toEqual({ followed: ["g.l"], skipped: ["g.r"] });
    const wrong = await runTypescript(
      `branch("x", { to: ["l"], run: () => "m" as "l" }); task("l", { run: () => 1 });`,
    );
    expect(wrong.terminal?.["reason"]).toContain('"x" chose "m", which is not one of l');
    const cut = (more: string): string =>
      `const x = shortCircuit("x", { ${more} run: () => false }); const a = task("a", { run: () => 1 }).after(x); task("b", { in: a, run: () => 1 });`;
    expect((await runTypescript(cut(""))).terminal?.["skip"]).toEqual({ skipped: ["a", "b"] });
    expect((await runTypescript(cut("respectTriggerRules: true,"))).terminal?.["skip"]).toEqual({
      skipped: ["a"],
    });
  });

  test("a sensor reschedules, brings a value, gives up for good, or is skipped when soft", async () => {
    const build = (answer: string, more = ""): string =>
      `sensor("x", { every: "5m", timeout: "1h", ${more} poke: () => ${answer} });`;
    const again = await runTypescript(build("false"));
    expect(again.terminal?.type).toBe("RescheduleTask");
    const wait = Date.parse(String(again.terminal?.["reschedule_date"])) - Date.now();
    expect(wait).toBeGreaterThan(290_000);
    expect(wait).toBeLessThanOrEqual(300_000);
    const there = await runTypescript(build("done({ size: 3 })"));
    expect([there.terminal?.type, there.xcoms.get("x.return_value")]).toEqual([
      "SucceedTask",
      { size: 3 },
    ]);
    const late = { first_reschedule_at: new Date(Date.now() - 3_700_000).toISOString() };
    expect((await runTypescript(build("false"), late)).terminal).toMatchObject({
      type: "TaskState",
      state: "failed",
      reason: "SensorTimeout: the sensor's timeout of 3600 s has passed",
    });
    expect((await runTypescript(build("false", "softFail: true,"), late)).terminal).toMatchObject({
      state: "skipped",
    });
    const poked = await runTypescript(
      `let n = 0; sensor("x", { every: "10ms", mode: "poke", poke: () => ++n === 3 });`,
    );
    expect(poked.terminal?.type).toBe("SucceedTask");
  });
});

describe("ready-made tasks", () => {
  test("bash: last line, result file, skip code, exit code with its last word", async () => {
    const last = await runYaml("  x: { type: bash, command: 'echo one; echo two' }\n");
    expect([last.stdout, last.xcoms.get("x.return_value")]).toEqual(["one\ntwo\n", "two"]);
    const file = await runYaml(
      `  x:\n    type: shell\n    args: { a: [1] }\n    command: cat > "$AIRLOCK_RESULT"\n`,
    );
    expect(file.xcoms.get("x.return_value")).toEqual({ a: [1] });
    expect((await runYaml("  x: { type: bash, command: exit 99 }\n")).terminal).toMatchObject({
      state: "skipped",
    });
    expect(
      (await runYaml("  x: { type: bash, command: 'echo no disk >&2; exit 3' }\n")).terminal,
    ).toMatchObject({
      type: "RetryTask",
      reason: "Fail: exit code 3: no disk",
    });
    const stopped = await runYaml("  x: { type: bash, command: sleep 60 }\n", {
      execution_timeout_s: 0.3,
    });
    expect(stopped.terminal?.["reason"]).toContain("TaskTimeout");
  });

  test("a daemon left behind does not keep the task", async () => {
    const { terminal, ms } = await runYaml(
      "  x: { type: bash, command: 'sleep 30 & echo done' }\n",
    );
    expect(terminal?.type).toBe("SucceedTask");
    expect(ms).toBeLessThan(10_000);
  });

  test("python: main with args, a plain script, an exception as the reason", async () => {
    const main = await runYaml(
      `  x:\n    type: python\n    args: { n: "\${{ params.n }}", day: "{{ ds }}" }\n    code: |\n      def main(n, day):\n          return [n + 1, day]\n`,
      { run: runWith({ n: 4 }) },
    );
    expect(main.xcoms.get("x.return_value")).toEqual([5, "2026-11-20"]);
    const plain = await runYaml(
      `  x:\n    type: python\n    args: { a: 1 }\n    code: |\n      import json, os, sys\n      if __name__ == "__main__":\n          json.dump(json.load(sys.stdin), open(os.environ["AIRLOCK_RESULT"], "w"))\n`,
    );
    expect(plain.xcoms.get("x.return_value")).toEqual({ a: 1 });
    const broken = await runYaml(
      `  x:\n    type: python\n    code: |\n      def main():\n          raise ValueError("no rows")\n`,
    );
    expect(broken.terminal?.["reason"]).toBe("Fail: ValueError: no rows");
    expect(broken.stderr).toContain('inline.py", line 2, in main');
    expect(broken.stderr).not.toContain("runpy");
  });

  test("node: a script of the repository, and code that imports beside its file", async () => {
    stage.write(
      "dags/double.ts",
      "export default async ({ n }: { n: number }, { taskId }: { taskId: string }) => [n * 2, taskId];\n",
    );
    const script = await runYaml("  x: { type: node, script: double.ts, args: { n: 4 } }\n");
    expect(script.xcoms.get("x.return_value")).toEqual([8, "x"]);
    const code = await runYaml(
      `  x:\n    type: node\n    args: { n: 4 }\n    code: |\n      const { default: double } = await import("./double.ts");\n      return double(args, context);\n`,
    );
    expect(code.xcoms.get("x.return_value")).toEqual([8, "x"]);
    const broken = await runYaml("  x: { type: node, code: 'throw new TypeError(\"boo\")' }\n");
    expect(broken.terminal?.["reason"]).toBe("TypeError: boo");
  });

  test("branch and short circuit decide by expressions over outputs and params", async () => {
    const tasks = (test_: string): string =>
      `  e: { type: bash, command: ls }\n  x:\n    type: branch\n    with: { n: "\${{ e }}" }\n    cases:\n      - { if: "${test_}", to: [a, b] }\n    else: c\n  a: { type: empty }\n  b: { type: empty }\n  c: { type: empty }\n`;
    const host = { xcoms: new Map<string, Json>([["e.return_value", 5]]) };
    expect(
      (await runYaml(tasks("n > 3 and params.p == 'eu'"), { run: runWith({ p: "eu" }) }, host))
        .terminal?.["skip"],
    ).toEqual({ followed: ["a", "b"], skipped: ["c"] });
    expect((await runYaml(tasks("n > 9"), {}, host)).terminal?.["skip"]).toEqual({
      followed: ["c"],
      skipped: ["a", "b"],
    });
    expect((await runYaml(tasks("nope"), {}, host)).terminal?.["reason"]).toContain(
      '"nope" is undefined',
    );
    const cut = await runYaml(
      "  x: { type: short_circuit, if: 'params.n > 3' }\n  a: { type: empty, needs: x }\n",
      { run: runWith({ n: 1 }) },
    );
    expect(cut.terminal?.["skip"]).toEqual({ skipped: ["a"] });
  });

  test("templates know Airflow's names, variables and connections; what was rendered is shown", async () => {
    const { xcoms, messages, terminal } = await runYaml(
      `  x:\n    type: node\n    args:\n      text: "{{ ds }} {{ ts_nodash }} {{ macros.ds_add(ds, 5) }} {{ run_id }} {{ dag_run.conf.k }} {{ var.value.v }} {{ var.json.j.a }} {{ conn.db.host }} {{ var.value.none | default('-') }}"\n    code: return args.text\n`,
      { run: runWith({}, { k: "v2" }) },
      {
        variables: { v: "value", j: '{"a":1}' },
        connections: { db: { conn_type: "postgres", host: "h" } },
      },
    );
    expect(terminal?.type).toBe("SucceedTask");
    const text =
      "2026-11-20 20261120T060000 2026-11-25 manual__2026-11-20T06:00:00+00:00 v2 value 1 h -";
    expect(xcoms.get("x.return_value")).toBe(text);
    expect(messages.find(({ type }) => type === "SetRenderedFields")?.["rendered_fields"]).toEqual({
      args: { text },
    });
  });

  test("an output that looks like a template stays text, a param never becomes a command", async () => {
    const evil = [{ $airlock: "template", text: "{{ ds }}" }, "{{ ds }}", "${{ e }}"];
    const { xcoms } = await runYaml(
      "  e: { type: bash, command: ls }\n  x: { type: node, args: { v: '${{ e }}' }, code: 'return args.v' }\n",
      {},
      { xcoms: new Map<string, Json>([["e.return_value", evil]]) },
    );
    expect(xcoms.get("x.return_value")).toEqual(evil);
    const start = { run: runWith({ p: "$(touch hacked); echo x" }) };
    const refused = await runYaml("  x: { type: bash, command: 'echo {{ params.p }}' }\n", start);
    expect(refused.terminal?.["reason"]).toContain("would be read as code");
    expect(refused.stdout).toBe("");
    const literal = await runYaml(
      `  x: { type: bash, command: 'echo "$P"', env: { P: '{{ params.p }}' } }\n`,
      start,
    );
    expect(literal.stdout).toBe("$(touch hacked); echo x\n");
  });

  test("a map's instances see their item", async () => {
    const { xcoms } = await runYaml(
      "  x: { type: bash, map: { over: [{ n: a }, { n: b }] }, command: 'echo {{ item.n }} $N', env: { N: '${{ item.n }}' } }\n",
      { map_index: 1 },
    );
    expect(xcoms.get("x[1].return_value")).toBe("b b");
  });
});

describe("http", () => {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += String(chunk);
    });
    request.on("end", () => {
      const status = Number(/^\/status\/(\d+)/.exec(request.url ?? "")?.[1] ?? 200);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(
        JSON.stringify({
          url: request.url,
          method: request.method,
          body,
          auth: request.headers.authorization ?? null,
        }),
      );
    });
  });
  let port: number;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.close();
  });
  const host = (): Host => ({
    connections: {
      api: { conn_type: "http", host: "127.0.0.1", port, login: "me", password: "pw" },
    },
  });

  test("asks with the connection's login, parses JSON, renders its address", async () => {
    const { xcoms } = await runYaml(
      `  x: { type: http, conn: api, url: "/day/{{ ds }}", query: { n: 3 }, json: { a: [1] } }\n`,
      {},
      host(),
    );
    expect(xcoms.get("x.return_value")).toEqual({
      url: "/day/2026-11-20?n=3",
      method: "POST",
      body: '{"a":[1]}',
      auth: `Basic ${Buffer.from("me:pw").toString("base64")}`,
    });
  });

  test("a wrong status fails, for good when the mistake is ours; an expected one is right", async () => {
    const status = (code: number, more = ""): Promise<Facts> =>
      runYaml(`  x: { type: http, url: "http://127.0.0.1:${port}/status/${code}"${more} }\n`);
    expect((await status(404)).terminal).toMatchObject({ type: "TaskState", state: "failed" });
    expect((await status(503)).terminal).toMatchObject({
      type: "RetryTask",
      reason: expect.stringContaining("answered 503") as string,
    });
    expect((await status(404, ", expect: [404]")).terminal?.type).toBe("SucceedTask");
  });

  test("the connection's password goes to its own host only", async () => {
    const { terminal } = await runYaml(
      `  x: { type: http, conn: api, url: "http://localhost:${port}/" }\n`,
      {},
      host(),
    );
    expect(terminal?.["reason"]).toContain("leaves the connection's host");
    const file = await runYaml(`  x: { type: http, url: "file:///etc/passwd" }\n`);
    expect(file.terminal?.["reason"]).toContain("only http and https");
    const refused = await runYaml(
      `  x: { type: http, url: "http://127.0.0.1:1/secret?token=x" }\n`,
    );
    expect(refused.terminal?.["reason"]).toMatch(/GET http:\/\/127\.0\.0\.1:1\/secret: /);
    expect(refused.terminal?.["reason"]).not.toContain("token");
  });

  test("a sensor reschedules until its expression is true", async () => {
    const look = (until: string): Promise<Facts> =>
      runYaml(
        `  x: { type: http.sensor, conn: api, url: /state, every: 1m, until: "${until}" }\n`,
        {},
        host(),
      );
    expect((await look("body.method == 'PUT'")).terminal?.type).toBe("RescheduleTask");
    const there = await look("status == 200 and body.url == '/state'");
    expect([there.terminal?.type, there.xcoms.get("x.return_value")]).toEqual([
      "SucceedTask",
      expect.objectContaining({ url: "/state" }),
    ]);
  });
});
