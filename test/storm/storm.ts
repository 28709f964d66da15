/**
 * `npm run storm -- [--seconds N] [--tasks N]`: kills, freezes, crashes and cuts under load, then what the rows say. One
 * JSON object on standard output, progress on standard error. Exits 1 if a promise of correctness was broken or the storm
 * was not the one that was asked for, 2 on wrong use or where there is nothing to storm.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { planStorm } from "./plan-storm.ts";
import { isBroken, NoGround, runStorm, type StormPlan, type StormReport } from "./run-storm.ts";

const say = (line: string): void => void process.stderr.write(`${line}\n`);

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  let plan: StormPlan;
  let report: string | undefined;
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        help: { type: "boolean", short: "h" },
        seconds: { type: "string" },
        tasks: { type: "string" },
        seed: { type: "string" },
        release: { type: "boolean" },
        report: { type: "string" },
      },
    });
    if (values.help === true) {
      process.stdout.write(help());
      return 0;
    }
    report = values.report;
    plan = planStorm({
      seconds: readCount("--seconds", values.seconds, 86_400),
      tasks: values.release === true ? 100_000 : readCount("--tasks", values.tasks, 10_000_000),
      seed: readCount("--seed", values.seed, 0xffff_ffff),
    });
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n\n${help()}`);
    return 2;
  }
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      say("stopping");
      stop.abort(new Error("stopped"));
    });
  try {
    const found = await runStorm(plan, say, stop.signal);
    process.stdout.write(`${JSON.stringify(found)}\n`);
    if (report !== undefined)
      writeFileSync(
        report,
        `${JSON.stringify({ at: new Date().toISOString(), plan, ...found }, null, 2)}\n`,
      );
    tell(found);
    return isBroken(found) || found.missing.length > 0 ? 1 : 0;
  } catch (error) {
    if (stop.signal.aborted) return 130;
    say(error instanceof NoGround ? error.message : String((error as Error).stack ?? error));
    return error instanceof NoGround ? 2 : 1;
  }
}

function readCount(name: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value > max)
    throw new Error(`${name} is '${text.slice(0, 40)}'; it must be a whole number up to ${max}`);
  return value;
}

function tell(report: StormReport): void {
  for (const line of [...report.violations, ...report.fell]) say(`BROKEN ${line}`);
  for (const line of report.missing) say(`MISSING ${line}`);
  for (const line of report.skipped) say(`SKIPPED ${line}`);
  say(
    `${report.tasks} task instances, ${report.guest_attempts} of them ran in guests; ${report.kills} kills, ${report.freezes} freezes, ${report.postgres_crashes} crashes of Postgres in ${report.seconds} s: ${isBroken(report) ? "BROKEN" : "nothing lost, nothing doubled, nothing stuck"}`,
  );
}

function help(): string {
  return `usage: npm run storm -- [--seconds N] [--tasks N] [--seed S] [--release] [--report FILE]

Without a size: the slice that npm test runs (5,000 task instances, 100 SIGKILL, 50 SIGSTOP past the lease).

  --tasks N      at least so many task instances, and faults in proportion
  --seconds N    for so long; alone: no quotas, as much as comes
  --release      the release campaign: 100,000 task instances, 1,000 SIGKILL, 300 SIGSTOP, 50 crashes of Postgres,
                 each failpoint 20 times
  --seed S       of the dice; a storm prints its own
  --report FILE  the whole report, as JSON

It starts a Postgres of its own and crashes that one; DATABASE_URL is not looked at.
`;
}
