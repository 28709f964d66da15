/**
 * `npm run bench -- [name…]`: the benchmarks. One JSON object per line on standard output for each figure,
 * what people read on standard error. Exits non-zero only if something that should work did not: slow is no fault.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cost } from "./cost.ts";
import { faults } from "./faults.ts";
import { isName, type Name, names, printFigure, say, toFigure } from "./measure.ts";
import { page } from "./page.ts";
import {
  comparable,
  compare,
  findKit,
  measurePeer,
  type PeerKit,
  printPeerFigure,
} from "./peers.ts";
import { scale } from "./scale.ts";
import { speed } from "./speed.ts";
import { type Bench, openWorld } from "./world.ts";

const families: Readonly<Record<string, readonly Bench[]>> = { speed, scale, cost, faults, page };

const flags = {
  help: { type: "boolean", short: "h" },
  quick: { type: "boolean" },
  profile: { type: "boolean" },
  peers: { type: "string" },
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
  const kit = values.peers === undefined ? undefined : findKit(values.peers);
  if (typeof kit === "string") {
    say(kit);
    return 2;
  }
  const isWanted = (family: string, bench: Bench): boolean =>
    (positionals.length === 0 &&
      (kit === undefined || bench.names.some((name) => comparable.includes(name)))) ||
    positionals.includes(family) ||
    bench.names.some((name) => positionals.includes(name));
  const wanted = Object.entries(families).flatMap(([family, benches]) =>
    benches.filter((bench) => isWanted(family, bench)),
  );
  return run(wanted, values, kit);
}

type Flags = {
  readonly help?: boolean;
  readonly quick?: boolean;
  readonly profile?: boolean;
  readonly peers?: string;
};

async function run(
  benches: readonly Bench[],
  { quick, profile }: Flags,
  kit: PeerKit | undefined,
): Promise<number> {
  const results = join(import.meta.dirname, "results");
  if (profile === true) mkdirSync(results, { recursive: true });
  const ours = new Map<Name, number>();
  const world = openWorld({
    isQuick: quick === true,
    profiles: profile === true ? results : undefined,
    report: (name, measured) => {
      const figure = toFigure(name, measured);
      ours.set(name, figure.value);
      printFigure(figure);
    },
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
  // Ours is closed by now: one orchestrator at a time has the machine.
  const peers = kit?.installed ?? [];
  for (const peer of peers) {
    try {
      await measurePeer(kit as PeerKit, peer, [...ours.keys()], interrupted.signal, (line) => {
        for (const figure of compare(peer, line, ours)) printPeerFigure(figure);
      });
    } catch (error) {
      if (interrupted.signal.aborted) return 130;
      broken += 1;
      say(`BROKEN ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const count = benches.length + peers.length;
  say(
    `${count - broken} of ${count} measurements in ${((performance.now() - begun) / 1000).toFixed(0)} s${broken === 0 ? "" : `; ${broken} broken`}`,
  );
  return broken === 0 ? 0 : 1;
}

function help(): string {
  const list = Object.entries(families).map(
    ([family, benches]) => `  ${family}: ${benches.flatMap((bench) => bench.names).join(", ")}`,
  );
  return `usage: npm run bench -- [--quick] [--profile] [--peers DIR] [name or family …]

Without a name: all ${names.length}. A measurement answers all names that it finds on its way.
${list.join("\n")}

  --quick    few samples: to see that it works
  --profile  CPU profiles of the platform during the speed family, into ops/bench/results/
  --peers    the same workloads on the peers that the kit in DIR (with its run.sh) has installed, after ours, one
             after the other; without a name only what can be compared (${comparable.join(", ")})

One JSON object per figure on standard output; to keep them: npm run -s bench > ops/bench/results/DATE.jsonl
`;
}
