import { listNextRuns } from "../../local/list-next-runs.ts";
import { columns, type Format, printAnswer } from "../print-answer.ts";
import { readWhole } from "../read-option.ts";
import { openBench, pickDag } from "./open-bench.ts";

export async function next(
  path: string,
  dagId: string | undefined,
  options: { readonly output: Format; readonly count: string },
): Promise<void> {
  const count = readWhole("--count", options.count, 1, 1000);
  const bench = await openBench(path);
  try {
    const { files } = await bench.check([path]);
    const { spec } = pickDag(files, dagId);
    const iso = (ms: number): string => new Date(ms).toISOString();
    const runs = listNextRuns(spec, Date.now(), count).map((run) => ({
      run_after: iso(run.run_after_ms),
      local_time: localTime(run.run_after_ms, spec.timezone),
      logical_date: iso(run.logical_date_ms),
      data_interval_start: iso(run.interval_start_ms),
      data_interval_end: iso(run.interval_end_ms),
    }));
    await printAnswer(runs, options.output, columns("run_after", "local_time", "logical_date"));
  } finally {
    await bench.close();
  }
}

const localTime = (ms: number, timeZone: string): string =>
  new Intl.DateTimeFormat("sv-SE", {
    timeZone,
    dateStyle: "short",
    timeStyle: "medium",
  }).format(ms) + ` ${timeZone}`;
