/**
 * `npm run simulate -- [--seeds N] [--seed S]`: the campaign. One line of JSON on standard output, what people read on
 * standard error. Exit: 0 every promise was kept, 1 one was broken, 2 wrong use.
 */
import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { runSeed, type SeedResult } from "./run-seed.ts";
import { tell } from "./script.ts";
import { shrink } from "./shrink.ts";

const usage = `Usage: npm run simulate -- [--seeds N] [--seed S] [--only ACTS]

  --seeds N     how many seeds (10000)
  --seed S      the first of them; alone: this one seed, told line by line
  --only ACTS   of a single seed, only these acts of its script, for example 3,7,12
  --threads N   how many seeds at once (as many as there are cores)

The engine, the door, admission, the scheduler, recovery and the worker over a database in memory, under kills,
freezes, cut connections, lost messages and jumping clocks. See test/simulate/README.md.`;

const told = 3;

if (isMainThread) process.exitCode = await main(process.argv.slice(2));
else await playSome(workerData as Share);

async function main(argv: readonly string[]): Promise<number> {
  const asked = readArgs(argv);
  if (typeof asked === "string") {
    process.stderr.write(asked === "" ? `${usage}\n` : `${asked}\n\n${usage}\n`);
    return asked === "" ? 0 : 2;
  }
  const startedAt = performance.now();
  const sums = { events: 0, commits: 0, attempts: 0, simulatedMs: 0 };
  let done = 0;
  let violations = 0;
  let lastSaid = startedAt;
  const hear = async (result: SeedResult): Promise<void> => {
    done += 1;
    for (const name of ["events", "commits", "attempts", "simulatedMs"] as const)
      sums[name] += result[name];
    if (result.violation !== undefined) {
      violations += 1;
      if (violations <= told) await explain(result, asked);
    }
    const now = performance.now();
    if (now - lastSaid < 5_000) return;
    lastSaid = now;
    process.stderr.write(`${done} of ${asked.seeds} seeds, ${violations} violations\n`);
  };
  if (asked.seeds === 1)
    await hear(
      await runSeed(asked.seed, {
        ...(asked.only === undefined ? {} : { only: asked.only }),
        onLine: (line) => process.stderr.write(`${line}\n`),
      }),
    );
  else await playAll(asked, hear);
  process.stdout.write(
    `${JSON.stringify({
      name: "simulate",
      seeds: asked.seeds,
      violations,
      first_seed: asked.seed,
      events: sums.events,
      commits: sums.commits,
      attempts: sums.attempts,
      simulated_hours: Math.round(sums.simulatedMs / 36_000) / 100,
      seconds: Math.round((performance.now() - startedAt) / 1000),
    })}\n`,
  );
  return violations === 0 ? 0 : 1;
}

type Asked = {
  readonly seeds: number;
  readonly seed: number;
  readonly only: readonly number[] | undefined;
  readonly threads: number;
};

/** A text: what is wrong; empty: help was asked for. */
function readArgs(argv: readonly string[]): Asked | string {
  const options = {
    seeds: { type: "string" },
    seed: { type: "string" },
    only: { type: "string" },
    threads: { type: "string" },
    help: { type: "boolean", short: "h" },
  } as const;
  let values;
  try {
    ({ values } = parseArgs({ args: [...argv], options, allowPositionals: false }));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  if (values.help === true) return "";
  const wholes: Record<string, number | undefined> = {};
  for (const [name, max] of [
    ["seeds", 10_000_000],
    ["seed", Number.MAX_SAFE_INTEGER],
    ["threads", 64],
  ] as const) {
    const raw = values[name];
    if (raw === undefined) continue;
    const n = Number(raw);
    if (!/^\d+$/.test(raw) || n > max || (n === 0 && name !== "seed"))
      return `--${name} must be a whole number from ${name === "seed" ? 0 : 1} to ${max}, not ${JSON.stringify(raw.slice(0, 40))}`;
    wholes[name] = n;
  }
  const seeds = wholes["seeds"] ?? (wholes["seed"] === undefined ? 10_000 : 1);
  let only: number[] | undefined;
  if (values.only !== undefined) {
    if (!/^(?:\d{1,4}(?:,\d{1,4})*)?$/.test(values.only))
      return `--only must be numbers of acts with commas between, not ${JSON.stringify(values.only.slice(0, 40))}`;
    if (seeds !== 1) return "--only is about a single seed: give --seed as well";
    only = values.only === "" ? [] : values.only.split(",").map(Number);
  }
  return {
    seeds,
    seed: wholes["seed"] ?? 1,
    only,
    threads: wholes["threads"] ?? availableParallelism(),
  };
}

/** The seed, the commit, the options, and the shortest script that still breaks the same promise. */
async function explain(found: SeedResult, asked: Asked): Promise<void> {
  const options = asked.only === undefined ? {} : { only: asked.only };
  const kept = await shrink(found, options);
  const last = await runSeed(found.seed, { only: kept });
  process.stderr.write(
    [
      "",
      `VIOLATION at seed ${found.seed}, commit ${commit()}: ${found.violation?.message ?? ""}`,
      ...(last.violation?.message === found.violation?.message
        ? []
        : [`and in the shorter script: ${last.violation?.message ?? ""}`]),
      `${kept.length} of ${found.acts.length} acts are enough:`,
      ...kept.map((n) => {
        const act = found.acts[n];
        return `  ${n}: ${act === undefined ? "" : tell(act)}`;
      }),
      `play it again: npm run simulate -- --seed ${found.seed} --only ${kept.length === 0 ? '""' : kept.join(",")}`,
      "",
      "",
    ].join("\n"),
  );
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync("git", args, {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    return git("rev-parse", "HEAD") + (git("status", "--porcelain") === "" ? "" : " with changes");
  } catch {
    return "unknown";
  }
}

// ---- threads ------------------------------------------------------------------------------------------

type Share = { readonly first: number; readonly step: number; readonly end: number };

async function playAll(asked: Asked, hear: (result: SeedResult) => Promise<void>): Promise<void> {
  let hearing: Promise<void> = Promise.resolve();
  const step = Math.min(asked.threads, asked.seeds);
  await Promise.all(
    Array.from(
      { length: step },
      (_, n) =>
        new Promise<void>((resolve, reject) => {
          const share: Share = { first: asked.seed + n, step, end: asked.seed + asked.seeds };
          const worker = new Worker(new URL(import.meta.url), { workerData: share });
          worker.on("message", (result: SeedResult) => {
            hearing = hearing.then(() => hear(result));
          });
          worker.on("error", reject);
          worker.on("exit", (code) => {
            if (code === 0) resolve();
            else reject(new Error(`a thread of the simulation ended with ${code}`));
          });
        }),
    ),
  );
  await hearing;
}

async function playSome({ first, step, end }: Share): Promise<void> {
  for (let seed = first; seed < end; seed += step) {
    const result = await runSeed(seed);
    // Only a broken one's script is looked at.
    parentPort?.postMessage(result.violation === undefined ? { ...result, acts: [] } : result);
    // A seed never gives way to the machine; what Node does between events happens here.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
