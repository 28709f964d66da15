/** What the benchmarks share: opened when the first one asks for it, closed at the end in reverse. */
import { type BareHouse, openBareHouse } from "./floors.ts";
import type { Name, Report } from "./measure.ts";
import { say } from "./measure.ts";
import {
  type BenchHouse,
  type BenchPostgres,
  openBenchHouse,
  openBenchPostgres,
} from "./open-bench-house.ts";

/** One measurement, which may answer several names. */
export type Bench = {
  readonly names: readonly Name[];
  readonly measure: (world: World) => Promise<void>;
};

export type World = {
  /** Few samples: to see that it works, not to know figures. */
  readonly isQuick: boolean;
  /** `full` samples, or `quick` ones. */
  samples(full: number, quick: number): number;
  readonly profiles: string | undefined;
  readonly report: Report;
  postgres(): Promise<BenchPostgres>;
  /** The platform that most benchmarks share. */
  house(): Promise<BenchHouse>;
  bare(): Promise<BareHouse>;
  /** Runs at the end, also when something broke. */
  onClose(step: () => Promise<unknown>): void;
  close(): Promise<void>;
};

export function openWorld(options: Pick<World, "isQuick" | "profiles" | "report">): World {
  const closers: (() => Promise<unknown>)[] = [];
  const onClose = (step: () => Promise<unknown>): void => void closers.push(step);
  const postgres = once(async () => {
    say("starting a Postgres for the bench");
    const opened = await openBenchPostgres();
    onClose(() => opened.close());
    return opened;
  });
  return {
    ...options,
    samples: (full, quick) => (options.isQuick ? quick : full),
    postgres,
    house: once(async () => {
      const server = await postgres();
      say("starting a platform, with the sandbox and fsync on");
      const opened = await openBenchHouse({
        postgres: server,
        database: "airlock",
        profiles: options.profiles,
      });
      onClose(() => opened.close());
      return opened;
    }),
    bare: once(async () => {
      const opened = await openBareHouse(await (await postgres()).database("floor"));
      onClose(() => opened.close());
      return opened;
    }),
    onClose,
    async close() {
      for (const step of closers.splice(0).toReversed())
        await step().catch((error: unknown) => say(`closing: ${String(error)}`));
    },
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
