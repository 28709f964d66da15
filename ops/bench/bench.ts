/**
 * `npm run bench -- [name…]`: the benchmarks. One JSON object per line on standard output for each figure,
 * what people read on standard error. Exits non-zero only if something that should work did not: slow is no fault.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cost } from "./cost.ts";
import { faults } from "./faults.ts";
import { isName, names, printFigure, say, toFigure } from "./measure.ts";
import { page } from "./page.ts";
import { scale } from "./scale.ts";
import { speed } from "./speed.ts";
import { type Bench, openWorld } from "./world.ts";

const families: Readonly<Record<string, readonly Bench[]>> = { speed, scale, cost, faults, page };

const flags = {
  help: { type: "boolean", short: "h" },
  quick: { type: "boolean" },
  profile: { type: "boolean" },
} as const;
process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  let asked: { readonly values: Flags; readonly positionals: readonly string[] };
  try {
    asked = parseArgs({ args: [...argv], options: flags, allowPositionals: true });
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n\n${help()}`);
    return 2;
  }
  const { values, positionals } = asked;
  if (values.help === true) {
    process.stdout.write(help());
    return 0;
  }
  const unknown = positionals.filter((name) => !isName(name) && !Object.hasOwn(families, name));
  if (unknown.length > 0) {
    say(`no such benchmark: ${unknown.join(", ")}\n\n${help()}`);
    return 2;
  }
  const isWanted = (family: string, bench: Bench): boolean =>
    positionals.length === 0 ||
    positionals.includes(family) ||
    bench.names.some((name) => positionals.includes(name));
  const wanted = Object.entries(families).flatMap(([family, benches]) =>
    benches.filter((bench) => isWanted(family, bench)),
  );
  return run(wanted, values);
}

type Flags = { readonly [flag in keyof typeof flags]?: boolean };

async function run(benches: readonly Bench[], { quick, profile }: Flags): Promise<number> {
  const results = join(import.meta.dirname, "results");
  if (profile === true) mkdirSync(results, { recursive: true });
  const world = openWorld({
    isQuick: quick === true,
    profiles: profile === true ? results : undefined,
    report: (name, measured) => printFigure(toFigure(name, measured)),
  });
  const interrupted = new AbortController();
  const stop = (): void => {
    interrupted.abort();
    say("stopping");
    void world.close().then(() => process.exit(130));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const begun = performance.now();
  let broken = 0;
  try {
    for (const bench of benches) {
      try {
        await bench.measure(world);
      } catch (error) {
        // What was closed under its hands says nothing about the platform.
        if (interrupted.signal.aborted) return 130;
        broken += 1;
        say(
          `BROKEN ${bench.names.join(", ")}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
    }
  } finally {
    await world.close();
  }
  say(
    `${benches.length - broken} of ${benches.length} measurements in ${((performance.now() - begun) / 1000).toFixed(0)} s${broken === 0 ? "" : `; ${broken} broken`}`,
  );
  return broken === 0 ? 0 : 1;
}

function help(): string {
  const list = Object.entries(families).map(
    ([family, benches]) => `  ${family}: ${benches.flatMap((bench) => bench.names).join(", ")}`,
  );
  return `usage: npm run bench -- [--quick] [--profile] [name or family …]

Without a name: all ${names.length}. A measurement answers all names that it finds on its way.
${list.join("\n")}

  --quick    few samples: to see that it works
  --profile  CPU profiles of the platform during the speed family, into ops/bench/results/

One JSON object per figure on standard output; to keep them: npm run -s bench > ops/bench/results/DATE.jsonl
`;
}
