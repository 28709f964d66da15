/**
 * `npm run siege`: every attack that we know, against everything that answers or runs a stranger's code.
 * One JSON line per part and one for the whole on standard output; progress on standard error. Exit 0: all held;
 * 1: something got through; 2: wrong use.
 */
import { parseArgs } from "node:util";
import { startThrowAwayPostgres } from "../kit/global-postgres.ts";
import { fuzzApiHere, fuzzHouse } from "./api-fuzz.ts";
import { type Campaign, openCampaign } from "./campaign.ts";
import { fuzzReaders } from "./reader-fuzz.ts";
import { besiegeRepositories } from "./repositories.ts";
import { besiegeRoutes } from "./routes.ts";
import { besiegeSandbox } from "./sandbox.ts";
import { searchForSecrets } from "./secrets.ts";

type Part = (campaign: Campaign) => Promise<void>;

const parts: Readonly<Record<string, Part>> = {
  sandbox: (campaign) => besiegeSandbox(campaign),
  repositories: besiegeRepositories,
  routes: withPostgres((campaign, server) => besiegeRoutes(campaign, { server })),
  secrets: searchForSecrets,
  "api-fuzz": withPostgres(async (campaign, server) => {
    await fuzzApiHere(campaign, apiCases, server);
    await fuzzHouse(campaign, houseCases);
  }),
  "reader-fuzz": (campaign) => fuzzReaders(campaign, readerCases),
};

const readerCases = 20_000;
const apiCases = 20_000;
const houseCases = 5_000;

const help = `npm run siege -- [--only PART]… [--seed N]

Attacks Airlock and counts what gets through. Parts: ${Object.keys(parts).join(", ")}; without --only, all.
--seed N   where the generated attacks begin (default 1); a failing one prints its seed.
Exits with 1 if anything got through.
`;

function withPostgres(part: (campaign: Campaign, server: string) => Promise<void>): Part {
  return async (campaign) => {
    const postgres = await startThrowAwayPostgres();
    try {
      await part(campaign, postgres.url);
    } finally {
      await postgres.stop();
    }
  };
}

function readArguments(): { only: readonly string[]; seed: number } | string {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string", multiple: true },
        seed: { type: "string", default: "1" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help) return "";
    const only = (values.only ?? Object.keys(parts)).flatMap((names) => names.split(","));
    const unknown = only.find((name) => !Object.hasOwn(parts, name));
    if (unknown !== undefined)
      return `There is no part ${unknown}; there are ${Object.keys(parts).join(", ")}.`;
    if (!/^\d{1,9}$/.test(values.seed)) return `--seed takes a whole number, not ${values.seed}.`;
    return { only, seed: Number(values.seed) };
  } catch (error) {
    return (error as Error).message;
  }
}

async function main(): Promise<number> {
  const asked = readArguments();
  if (typeof asked === "string") {
    process.stderr.write(asked === "" ? help : `${asked}\n\n${help}`);
    return asked === "" ? 0 : 2;
  }
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  const whole = { probes: 0, escaped: 0, skipped: [] as string[] };
  for (const name of asked.only) {
    const campaign = openCampaign(asked.seed, tell);
    const startedMs = performance.now();
    tell(`siege: ${name}`);
    try {
      await parts[name]?.(campaign);
    } catch (error) {
      // A part that breaks off has not held: what it did not try is unknown.
      campaign.probe(`${name} to its end`, `broke off: ${String((error as Error).stack)}`);
    }
    const { probes, escapes, skipped } = campaign;
    console.log(
      JSON.stringify({
        name: `siege-${name}`,
        probes,
        escaped: escapes.length,
        skipped,
        seed: asked.seed,
        seconds: Math.round((performance.now() - startedMs) / 100) / 10,
      }),
    );
    whole.probes += probes;
    whole.escaped += escapes.length;
    whole.skipped.push(...skipped);
  }
  console.log(JSON.stringify({ name: "siege", ...whole }));
  return whole.escaped > 0 ? 1 : 0;
}

process.exitCode = await main();
