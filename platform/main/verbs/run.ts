import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { checkParams } from "../../local/check-params.ts";
import { type Choice, chooseTasks } from "../../local/choose-tasks.ts";
import { Results } from "../../local/keep-results.ts";
import { countStates, type LocalEvent, type LocalOutcome, runDag } from "../../local/run-dag.ts";
import { findingsPretty } from "../../local/write-findings.ts";
import type { GuestKey } from "../../model/guest.ts";
import type { JsonObject } from "../../model/json.ts";
import { inkFor } from "../ink.ts";
import { orderTasks } from "../order-tasks.ts";
import { columns, type Format, printAnswer, write } from "../print-answer.ts";
import { failed, wrongUse } from "../problem.ts";
import { readConf, readTime } from "../read-option.ts";
import { durationText, nameOf, type RunScreen, showRun } from "../show-run.ts";
import { type Bench, openBench, pickDag, readEgress, readThings } from "./open-bench.ts";

export type RunOptions = {
  readonly output: Format;
  readonly task?: string;
  readonly from?: string;
  readonly conf?: string;
  readonly logicalDate?: string;
  readonly connections?: string;
  readonly variables?: string;
  readonly allow: readonly string[];
};

/** Answers whether the run succeeded. */
export async function run(
  path: string,
  dagId: string | undefined,
  options: RunOptions,
): Promise<boolean> {
  const choice = readChoice(options);
  const conf: JsonObject = options.conf === undefined ? {} : readConf(options.conf);
  const logicalDateMs =
    options.logicalDate === undefined ? Date.now() : readTime(options.logicalDate);
  const things = readThings(options);
  const egress = readEgress(options.allow, things);
  const bench = await openBench(path);
  try {
    const { files, settings } = await bench.check(isWhole(bench, path) ? [] : [path], things);
    const broken = files.filter(({ ok }) => !ok);
    const known = files.some(({ dags }) =>
      dags.some(({ dag_id }) => dagId === undefined || dag_id === dagId),
    );
    if (broken.length > 0) {
      // Other files' problems do not hold up this DAG, as on the server; they are said.
      process.stderr.write(
        findingsPretty(
          broken,
          (file) => readIfThere(join(bench.root, file)),
          inkFor(process.stderr),
        ),
      );
      if (!known) throw failed("the DAG file has problems");
    }
    const { spec, file } = pickDag(files, dagId);
    const memory = rememberedResults(bench, spec.dag_id);
    const chosen = chooseTasks(spec, choice, memory.before);
    if (!chosen.ok) throw wrongUse(chosen.problem);
    const params = checkParams(spec, conf);
    if (!params.ok) throw wrongUse(params.problem);
    const results = new Results();
    const runs = new Set<string>(chosen.value.tasks.map(({ task_id }) => task_id));
    results.takeFrom(memory.before, (task) => !runs.has(task));
    const keys = new Map<string, Promise<GuestKey>>();
    const screen = showRun({
      title: `${spec.dag_id} (${file.path}), here`,
      tasks: orderTasks(chosen.value.tasks),
      logsTo: options.output === "table" ? process.stdout : process.stderr,
    });
    const artifactsDir = makeRoom(join(bench.stateDir, "local-artifacts", spec.dag_id));
    let outcome: LocalOutcome;
    try {
      outcome = await runDag({
        spec: chosen.value,
        dagFile: file.path,
        guests: bench.workshop.guests,
        keyOf(kind) {
          const made =
            keys.get(kind) ??
            bench.workshop
              .keyFor(kind, bench.snapshot, { limits: settings.limits, level: spec.level, egress })
              .then((key) => {
                if (key.ok) return key.value;
                throw new Error(
                  `${key.problem.message}${key.problem.hint === undefined ? "" : ` (${key.problem.hint})`}`,
                );
              });
          keys.set(kind, made);
          return made;
        },
        conf,
        params: params.value,
        logicalDateMs,
        things,
        results,
        artifactsDir,
        concurrency: readConcurrency(),
        onEvent: (event) => show(screen, event),
        signal: bench.signal,
      });
      await bench.workshop.settled(bench.signal);
    } finally {
      screen.close();
    }
    memory.keep(results);
    await report(spec.dag_id, outcome, artifactsDir, options.output);
    if (bench.signal.aborted) process.exitCode = 130;
    return outcome.state === "success";
  } finally {
    await bench.close();
  }
}

function readChoice({ task, from }: RunOptions): Choice {
  if (task !== undefined && from !== undefined)
    throw wrongUse(
      "--task and --from exclude each other",
      "--from runs the task and all that follows",
    );
  if (task !== undefined) return { kind: "task", task_id: task };
  return from === undefined ? { kind: "all" } : { kind: "from", task_id: from };
}

const isWhole = (bench: Bench, path: string): boolean =>
  join(process.cwd(), path) === bench.root || path === bench.root;

/** Results of the last run of this DAG in this repository, for `--task` and `--from`. Mode 0600: they are the author's data. */
function rememberedResults(
  bench: Bench,
  dagId: string,
): { readonly before: Results; keep(results: Results): void } {
  const folder = join(
    bench.stateDir,
    "local-results",
    createHash("sha256").update(bench.root).digest("hex").slice(0, 16),
  );
  const file = join(folder, `${dagId}.json`);
  let before = new Results();
  if (existsSync(file))
    try {
      before = Results.fromJson(JSON.parse(readFileSync(file, "utf8")));
    } catch {
      // A file that was cut short is as good as none.
    }
  return {
    before,
    keep(results) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const part = `${file}.${process.pid}`;
      writeFileSync(part, JSON.stringify(results.toJson()), { mode: 0o600 });
      renameSync(part, file);
    },
  };
}

function show(screen: RunScreen, event: LocalEvent): void {
  switch (event.kind) {
    case "state":
      screen.state(event, event.state, event.try_number, event.reason);
      return;
    case "log":
      for (const line of event.lines) screen.log(event, line.text);
      return;
    case "label":
      screen.note(`${nameOf(event)} is ${event.text}`);
      return;
    case "note":
      screen.note(event.text);
  }
}

async function report(
  dagId: string,
  outcome: LocalOutcome,
  artifactsDir: string,
  format: Format,
): Promise<void> {
  const answer = {
    dag_id: dagId,
    dag_run_id: outcome.run_id,
    state: outcome.state,
    duration: outcome.ms / 1000,
    task_instances: outcome.instances.map((one) => ({ ...one, reason: one.reason ?? null })),
    artifacts: outcome.artifacts,
  };
  if (format !== "table") return printAnswer(answer, format, columns("state"));
  const lines = [
    `${outcome.state} ${dagId} in ${durationText(outcome.ms)}: ${countStates(outcome.instances)}`,
    ...outcome.instances
      .filter(({ state, reason }) => state === "failed" && reason !== undefined)
      .map((one) => `  ${nameOf(one)}: ${one.reason ?? ""}`),
    ...(outcome.artifacts.length === 0
      ? []
      : [
          `artifacts in ${artifactsDir}:`,
          ...outcome.artifacts.map((path) => `  ${path.slice(artifactsDir.length + 1)}`),
        ]),
  ];
  return write(`${lines.join("\n")}\n`);
}

function readConcurrency(): number {
  const text = process.env["AIRLOCK_CONCURRENCY"];
  if (text === undefined || text === "") return availableParallelism() * 2;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw wrongUse(
    `AIRLOCK_CONCURRENCY is ${JSON.stringify(text)}`,
    "it must be a whole number above 0",
  );
}

/** A folder for this run; only the newest few are kept. */
function makeRoom(folder: string): string {
  if (existsSync(folder))
    for (const old of readdirSync(folder).toSorted().slice(0, -keptRuns))
      rmSync(join(folder, old), { recursive: true, force: true });
  return join(folder, `${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "")}-${process.pid}`);
}
const keptRuns = 20;

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
