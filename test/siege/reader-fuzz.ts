/**
 * The readers under fire. The campaign runs them in a thread of their own: one that hangs is ended and named with the
 * case it hung in, which `--seed` throws again.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { Campaign } from "./campaign.ts";
import { diceOf } from "./dice.ts";
import { type Reader, readers } from "./readers.ts";

const slowMs = 2_000;
const silentMs = 30_000;

/** One case; what it broke. Seed and number throw it again. */
export async function fuzzOnce(
  reader: Reader,
  seed: number,
  at: number,
): Promise<string | undefined> {
  const started = process.threadCpuUsage();
  let broken: string | undefined;
  try {
    broken = await reader.read(diceOf(seed, at));
  } catch (error) {
    broken = `threw ${String((error as Error).stack).slice(0, 600)}`;
  }
  const used = process.threadCpuUsage(started);
  const ms = (used.user + used.system) / 1000;
  if (broken === undefined && ms > slowMs) broken = `took ${Math.round(ms)} ms of a processor`;
  return broken === undefined ? undefined : `${broken} (seed ${seed}, case ${at})`;
}

/** In this very thread: for a slice whose test has a timeout of its own. */
export async function fuzzReadersHere(campaign: Campaign, cases: number): Promise<void> {
  for (const reader of readers)
    for (let at = 0; at < cases * (reader.share ?? 1); at++)
      campaign.probe(reader.name, await fuzzOnce(reader, campaign.seed, at));
}

type Told =
  | { readonly kind: "at"; readonly reader: string; readonly case: number }
  | { readonly kind: "held"; readonly reader: string; readonly cases: number }
  | { readonly kind: "broken"; readonly reader: string; readonly what: string };

export async function fuzzReaders(campaign: Campaign, cases: number): Promise<void> {
  for (const reader of readers) {
    campaign.tell(`readers: ${reader.name}`);
    await fuzzAside(campaign, reader, Math.ceil(cases * (reader.share ?? 1)));
  }
}

async function fuzzAside(campaign: Campaign, reader: Reader, cases: number): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { reader: reader.name, seed: campaign.seed, cases },
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });
  let last = 0;
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((done) => {
    const wait = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        campaign.probe(reader.name, `hangs after case ${last} (seed ${campaign.seed})`);
        void worker.terminate();
      }, silentMs);
    };
    wait();
    worker.on("message", (told: Told) => {
      wait();
      if (told.kind === "at") last = told.case;
      else if (told.kind === "broken") campaign.probe(reader.name, told.what);
      else for (let at = 0; at < told.cases; at++) campaign.probe(reader.name);
    });
    worker.on("error", (error) =>
      campaign.probe(
        reader.name,
        `ended its thread after case ${last} (seed ${campaign.seed}): ${String(error)}`,
      ),
    );
    worker.once("exit", () => done());
  });
  clearTimeout(timer);
}

async function work(): Promise<void> {
  const {
    reader: name,
    seed,
    cases,
  } = workerData as { reader: string; seed: number; cases: number };
  const reader = readers.find((one) => one.name === name);
  if (reader === undefined || parentPort === null) throw new Error(`no reader ${name}`);
  const tell = (told: Told): void => parentPort?.postMessage(told);
  let held = 0;
  for (let at = 0; at < cases; at++) {
    if (at % 50 === 0) tell({ kind: "at", reader: name, case: at });
    const what = await fuzzOnce(reader, seed, at);
    if (what === undefined) held += 1;
    else tell({ kind: "broken", reader: name, what });
  }
  tell({ kind: "held", reader: name, cases: held });
}

if (!isMainThread && (workerData as { reader?: string } | null)?.reader !== undefined) await work();
