/**
 * The guest program for TypeScript and YAML DAGs: a single-use process. It waits as a spare, becomes one
 * attempt (or the parse of one file) when it is told to fork, and ends with it.
 */
import { realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { AttemptStart } from "../../../platform/model/guest.ts";
import { isObject } from "../../../platform/model/json.ts";
import { insideOf as insideOfDag, takeRegistered } from "../sdk/build-dag.ts";
import { placesInStack } from "../sdk/problem.ts";
import { attemptContext, logTo } from "./attempt-context.ts";
import { become, claimStandardStreams, type Fork } from "./become.ts";
import { FrameReader, frame } from "./frames.ts";
import { type Body, type Line, writeThrough } from "./line.ts";
import { bundleFile, type Imports, insideOf, watchImports } from "./load-author-file.ts";
import { type FileFacts, parseFile } from "./parse-file.ts";
import { ending, type Job, runAttempt } from "./run-attempt.ts";
import { typescriptJob } from "./typescript-job.ts";

// Kept from before any code of the author's: what ends the process must not be theirs to replace.
const exit = process.exit.bind(process);
const { setTimeout: startTimer } = globalThis;
const stopGraceMs = 4000;
const versions = { node: process.versions.node, guest: "1" };

type StartArguments = {
  readonly socket: string;
  readonly bundle: string;
  readonly environment: string | undefined;
};

quietExperiments();
claimStandardStreams();
await serve(readArguments());

async function serve(given: StartArguments): Promise<void> {
  const imports = watchImports(given.bundle, given.environment);
  await warm(given, imports);
  for await (const message of controlFrames()) {
    switch (message["type"]) {
      case "preload":
        control({
          type: "ready",
          pid: process.pid,
          ...(await preload(message, given, imports)),
          versions,
        });
        break;
      case "fork": {
        const fork = readFork(message);
        control({ type: "forked", nonce: fork.nonce, pid: process.pid });
        // This process is the attempt now and reads no further control frame: its end is the guest's end.
        await attempt(given, fork, imports);
        return;
      }
      case "stop":
        exit(0);
        break;
      default:
        throw new Error(`control frame of an unknown type: ${String(message["type"])}`);
    }
  }
  exit(0);
}

function readArguments(): StartArguments {
  const { values } = parseArgs({
    options: {
      socket: { type: "string" },
      bundle: { type: "string" },
      "dags-folder": { type: "string" },
      work: { type: "string" },
      kind: { type: "string" },
      environment: { type: "string" },
    },
  });
  if (values.socket === undefined || values.bundle === undefined)
    throw new Error(
      "usage: main --socket PATH --bundle PATH --dags-folder REL --work PATH --kind task|parse [--environment PATH]",
    );
  return { socket: values.socket, bundle: values.bundle, environment: values.environment };
}

async function* controlFrames(): AsyncGenerator<{ readonly [field: string]: unknown }> {
  const reader = new FrameReader();
  for await (const chunk of process.stdin as AsyncIterable<Buffer>)
    for (const message of reader.push(chunk)) {
      if (!isObject(message)) throw new TypeError("a control frame that is no map");
      yield message;
    }
}

function control(body: Body): void {
  writeThrough(1, frame(body));
}

/** Packages of the environment; `airlock:yaml` is our own part that runs YAML tasks, as parses report it. */
async function preload(
  message: { readonly [field: string]: unknown },
  given: StartArguments,
  imports: Imports,
): Promise<{ preloaded: string[]; skipped: string[] }> {
  const names = Array.isArray(message["packages"]) ? message["packages"].map(String) : [];
  const preloaded: string[] = [];
  const skipped: string[] = [];
  for (const name of names) {
    try {
      if (name === "airlock:yaml") {
        const yaml = await import("../yaml/yaml-job.ts");
        yaml.warm();
      } else {
        // Imported from where the author's files stand, so that it is the copy they will get.
        const from = pathToFileURL(`${given.bundle}/preload-${preloaded.length}.mjs`).href;
        imports.inline.set(from, `import ${JSON.stringify(name)};`);
        await import(from);
      }
      preloaded.push(name);
    } catch {
      // The task that imports it says what is wrong with it.
      skipped.push(name);
    }
  }
  return { preloaded, skipped };
}

function readFork(message: { readonly [field: string]: unknown }): Fork {
  const { nonce, env, cwd } = message;
  if (typeof nonce !== "string" || !isObject(env) || typeof cwd !== "string")
    throw new TypeError("a fork frame without nonce, env or cwd");
  return {
    nonce,
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)])),
    cwd,
  };
}

async function attempt(given: StartArguments, fork: Fork, imports: Imports): Promise<void> {
  const line = await become(given.socket, fork, (error) => {
    process.stderr.write(`${error.message}\n`);
    exit(1);
  });
  const first = await line.start;
  if (!isObject(first)) throw new TypeError("a start that is no map");
  const root = realpathSync(given.bundle);
  if (first["type"] === "DagFileParseRequest")
    await parse(line, root, String(first["file"]), imports);
  else await run(line, root, readStart(first), imports);
}

async function parse(line: Line, root: string, file: string, imports: Imports): Promise<void> {
  const answer = (facts: FileFacts): Body => ({ type: "DagFileParsingResult", ...facts });
  const broken = (message: string): Body => {
    const place = placesInStack(new Error("here").stack ?? "")
      .map((at) => ({ ...at, file: insideOf(root, at.file) }))
      .find((at) => at.file !== undefined);
    return answer({
      dags: [],
      errors: [
        {
          ...(place === undefined ? {} : { line: place.line, column: place.column }),
          message,
          hint: "While a DAG file is read it should only declare: move work into tasks.",
        },
      ],
      warnings: [],
      inputs: [...imports.inputs],
      packages: [],
    });
  };
  guardTheEnd(line, (why) => broken(`the file ${why} while it was read`));
  let facts: FileFacts;
  try {
    facts = await parseFile(root, file, imports);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    facts = { dags: [], errors: [{ message }], warnings: [], inputs: [file], packages: [] };
  }
  line.end(answer(facts));
  exit(0);
}

async function run(line: Line, root: string, start: AttemptStart, imports: Imports): Promise<void> {
  const abort = new AbortController();
  const log = logTo(line, start.task_id);
  const endWith = (body: Body): void => {
    line.end(body);
    exit(0);
  };
  const fail = (thrown: unknown): void => {
    endWith(ending(thrown, line, { log, signal: abort.signal }, root));
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  process.once("SIGTERM", () => {
    abort.abort(new Error("the task was stopped"));
    // Whoever does not listen to the signal is ended a moment before the supervisor would kill us.
    startTimer(() => {
      exit(143);
    }, stopGraceMs).unref();
  });
  guardTheEnd(line, (why) => ({
    type: "RetryTask",
    end_date: new Date().toISOString(),
    reason: `the task ${why} before it had ended`,
  }));
  // An author's own spans go on in the run's trace. Where to send them is for the author to say: nothing of the platform's.
  if (start.traceparent !== undefined)
    Object.assign(process.env, {
      TRACEPARENT: start.traceparent,
      TRACESTATE: `airlock=${start.attempt}`,
    });
  const prepared = await prepare(line, root, start, imports, abort.signal).catch(
    (thrown: unknown) => {
      fail(thrown);
      return undefined;
    },
  );
  if (prepared === undefined) return;
  const { job, context } = prepared;
  endWith(await runAttempt(job, start, context, line, abort, root));
}

type Prepared = { readonly job: Job; readonly context: ReturnType<typeof attemptContext> };

async function prepare(
  line: Line,
  root: string,
  start: AttemptStart,
  imports: Imports,
  signal: AbortSignal,
): Promise<Prepared> {
  const tools = { line, root, dagFile: start.dag_file, imports };
  if (/\.ya?ml$/.test(start.dag_file)) {
    const { yamlJob } = await import("../yaml/yaml-job.ts");
    return {
      job: yamlJob(start, tools),
      context: attemptContext(start, start.run.params, line, signal),
    };
  }
  const path = bundleFile(root, start.dag_file);
  if (path === undefined) throw new Error(`${start.dag_file} is no longer in the repository`);
  await import(pathToFileURL(path).href);
  const built = takeRegistered().find((dag) => dag.id === start.dag_id);
  const inside = built === undefined ? undefined : insideOfDag(built);
  const task = inside?.tasks.get(start.task_id);
  if (inside === undefined || task === undefined)
    throw new Error(
      built === undefined
        ? `${start.dag_file} no longer declares the DAG "${start.dag_id}"`
        : `the DAG "${start.dag_id}" no longer has a task "${start.task_id}"`,
    );
  return {
    job: typescriptJob(inside, task, start, tools),
    context: attemptContext(start, inside.readParams(start.run.params), line, signal),
  };
}

/** An end without a word would count as success: whatever way the author's code ends the process, we say it. */
function guardTheEnd(line: Line, body: (why: string) => Body): void {
  process.on("exit", (code) => {
    if (!line.ended && code !== 143) line.end(body(`called process.exit(${code})`));
  });
  process.on("beforeExit", () => {
    line.end(
      body("waits for something that can no longer happen (a promise that nothing settles)"),
    );
    exit(1);
  });
}

function readStart(details: { readonly [field: string]: unknown }): AttemptStart {
  const start = details["airlock"];
  if (!isObject(start) || !isObject(start["run"]))
    throw new TypeError("start details without what our own guests need (airlock)");
  // The supervisor wrote it from the house's own words.
  return start as AttemptStart;
}

/**
 * What every attempt would pay for once, paid while nobody waits: the first import of a TypeScript file costs
 * 15 ms (the type stripper is WebAssembly of its own), the first time zone another 10, the next ones nothing.
 */
async function warm(given: StartArguments, imports: Imports): Promise<void> {
  const url = pathToFileURL(`${given.bundle}/.warm.dag.ts`).href;
  imports.inline.set(
    url,
    `import { cron, dag } from "airlock";
     export default dag({
       id: "warm",
       schedule: cron("0 0 * * *", { tz: "Europe/Zurich" }),
       build({ task }) { const a: unknown = task("a", { run: () => 1 }); },
     });`,
  );
  await import(url);
  takeRegistered();
}

/** Node's notes on experiments are about our choices, not the author's. */
function quietExperiments(): void {
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning")
      process.stderr.write(`${warning.name}: ${warning.message}\n`);
  });
}
