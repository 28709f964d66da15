/**
 * A platform as its users run it, in a process of its own with sandbox and fsync on, beside a Postgres of the
 * bench, so that memory and CPU of the two can be told apart. The bench drives it over HTTP and git, and reads
 * from the rows when what happened.
 */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { apiPath, openServer, platformPath, type Server } from "../../platform/main/ask-server.ts";
import type { Json } from "../../platform/model/json.ts";
import { type EmbeddedPostgres, startEmbedded } from "../../platform/postgres/embedded.ts";
import { ensureDatabase } from "../../platform/store/sample-database.ts";
import {
  type Clone,
  cloneRepository,
  eventually,
  type House,
  makeHome,
  openHouse,
} from "../../test/kit/house.ts";
import { say } from "./measure.ts";

export type BenchPostgres = {
  readonly pid: number;
  /** A database of this name, made if it is not there: its connection string. */
  database(name: string): Promise<string>;
  close(): Promise<void>;
};

export async function openBenchPostgres(): Promise<BenchPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "airlock-bench-"));
  chmodSync(folder, 0o711);
  const server: EmbeddedPostgres = await startEmbedded({ folder: join(folder, "postgres") });
  return {
    pid: server.pid,
    database: (name) => ensureDatabase(server.url, name),
    async close() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type BenchHouse = {
  readonly house: House;
  readonly databaseUrl: string;
  readonly api: Server;
  /** The owner's connection, past every fence: to arrange and to look, never what is measured. */
  readonly sql: postgres.Sql;
  readonly postgresPid: number;
  makeTenant(name: string, change?: { readonly [field: string]: Json }): Promise<void>;
  /** A hosted repository of the tenant, cloned. */
  makeRepository(tenant: string, name: string): Promise<Clone>;
  /** Writes, commits and pushes; throws unless it went live without an error. Milliseconds of the push alone, and its answer. */
  push(clone: Clone, files: ReadonlyMap<string, string>): Promise<Pushed>;
  trigger(tenant: string, dag: string): Promise<string>;
  /** Waits for these runs to end; throws if one does not succeed. */
  untilDone(tenant: string, runIds: readonly string[], withinMs?: number): Promise<void>;
  /** When what happened in these runs, by their rows and by what the tasks' code wrote down. */
  read(tenant: string, runIds: readonly string[]): Promise<readonly RunTimes[]>;
  /** Stops the process and starts it again on the same home and database. */
  restart(): Promise<BenchHouse>;
  close(): Promise<void>;
};

export type Pushed = { readonly ms: number; readonly answer: string };

/** Epoch milliseconds. */
export type RunTimes = {
  readonly runId: string;
  readonly dagId: string;
  readonly createdAt: number;
  readonly startedAt: number;
  readonly endedAt: number;
  /** In order of their code's start. */
  readonly tasks: readonly TaskTimes[];
};

export type TaskTimes = {
  readonly taskId: string;
  /** The author's code's first line, by its own clock. */
  readonly codeAt: number;
  /** The door's write that ended it. */
  readonly endedAt: number;
  /** From the attempt's claim to the author's code, as the supervisor saw it. */
  readonly startMs: number;
};

export type BenchHouseOptions = {
  readonly postgres: BenchPostgres;
  readonly database: string;
  readonly home?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Folder for CPU profiles; undefined: none are taken. */
  readonly profiles?: string | undefined;
};

export async function openBenchHouse(options: BenchHouseOptions): Promise<BenchHouse> {
  const databaseUrl = await options.postgres.database(options.database);
  const home = options.home ?? makeHome();
  const house = await openHouse({
    home,
    env: {
      DATABASE_URL: databaseUrl,
      AIRLOCK_LOG_LEVEL: "warn",
      ...(options.profiles === undefined
        ? {}
        : {
            AIRLOCK_BENCH_PROFILES: options.profiles,
            NODE_OPTIONS: `--import=${join(import.meta.dirname, "profile-on-signal.ts")}`,
          }),
      ...options.env,
    },
  });
  const sql = postgres(databaseUrl, { max: 4, onnotice: () => undefined });
  const profile = JSON.parse(readFileSync(join(home, "local-profile.json"), "utf8")) as {
    url: string;
    token: string;
  };
  const api = openServer({ url: house.url, token: profile.token });
  // The platform announces its commits at most each 10 ms: nothing is polled while a measurement runs.
  const waiting = new Set<() => void>();
  await sql.listen("airlock_feed", () => {
    for (const wake of waiting) wake();
  });
  const news = (ms: number): Promise<void> =>
    new Promise((done) => {
      const wake = (): void => {
        clearTimeout(timer);
        waiting.delete(wake);
        done();
      };
      const timer = setTimeout(wake, ms);
      waiting.add(wake);
    });

  const untilDone = async (
    tenant: string,
    runIds: readonly string[],
    withinMs = 60_000,
  ): Promise<void> => {
    for (const until = Date.now() + withinMs; ; ) {
      const more = news(250);
      const [row] = await sql<{ open: number; bad: string | null }[]>`
        select (${runIds.length}::int - count(*) filter (where state in ('success', 'failed')))::int as open,
               min(run_id || coalesce(': ' || reason, '')) filter (where state = 'failed') as bad
          from airlock.dag_run where tenant = ${tenant} and run_id = any(${runIds as string[]})`;
      if (row !== undefined && row.bad !== null)
        throw new Error(`a run that should succeed failed: ${tenant}/${row.bad}`);
      if (row?.open === 0) return;
      if (Date.now() > until)
        throw new Error(
          `${row?.open} of ${runIds.length} runs of ${tenant} did not end within ${withinMs} ms`,
        );
      await more;
    }
  };

  const clones: Clone[] = [];
  const bench: BenchHouse = {
    house,
    databaseUrl,
    api,
    sql,
    postgresPid: options.postgres.pid,
    untilDone,
    async makeTenant(name, change) {
      await api.send("POST", platformPath("tenants"), { name });
      if (change !== undefined) await api.send("PATCH", platformPath("tenants", name), change);
    },
    async makeRepository(tenant, name) {
      await api.send("POST", platformPath("tenants", tenant, "repositories"), { name });
      const clone = await cloneRepository(house, tenant, name);
      clones.push(clone);
      return clone;
    },
    async push(clone, files) {
      for (const [path, text] of files) {
        mkdirSync(dirname(join(clone.folder, path)), { recursive: true });
        writeFileSync(join(clone.folder, path), text);
      }
      await clone.git("add", "--all");
      await clone.git("commit", "--quiet", "--message", "bench");
      const at = performance.now();
      const pushed = await clone.git("push", "origin", "HEAD:main");
      const ms = performance.now() - at;
      const isLive =
        /remote: live in \d+ ms/.test(pushed.stderr) && !/remote: dags\//.test(pushed.stderr);
      if (pushed.code !== 0 || !isLive)
        throw new Error(`a push did not go live:\n${pushed.stderr}`);
      return { ms, answer: pushed.stderr };
    },
    async trigger(tenant, dag) {
      const runId = `bench-${++runs}`;
      await api.send("POST", apiPath(tenant, "dags", dag, "dagRuns"), {
        dag_run_id: runId,
        logical_date: null,
      });
      return runId;
    },
    read: (tenant, runIds) => readTimes(sql, tenant, runIds),
    async restart() {
      await sql.end({ timeout: 2 });
      await house.stop();
      return openBenchHouse({ ...options, home });
    },
    async close() {
      await sql.end({ timeout: 2 });
      await house.remove();
      for (const { folder } of clones) rmSync(folder, { recursive: true, force: true });
    },
  };
  return bench;
}

let runs = 0;

async function readTimes(
  sql: postgres.Sql,
  tenant: string,
  runIds: readonly string[],
): Promise<readonly RunTimes[]> {
  const rows = await sql<
    {
      run: string;
      run_id: string;
      dag_id: string;
      created: number;
      started: number;
      ended: number;
    }[]
  >`
    select run, run_id, dag_id, ${epochMs(sql, "queued_at")} as created, ${epochMs(sql, "started_at")} as started,
           ${epochMs(sql, "ended_at")} as ended
      from airlock.dag_run where tenant = ${tenant} and run_id = any(${runIds as string[]})`;
  const tasks = await sql<
    { run: string; task_id: string; code_s: number | null; ended: number; start_ms: number }[]
  >`
    select a.run, a.task_id, (x.value->>'at')::float8 as code_s, ${epochMs(sql, "a.ended_at")} as ended,
           a.start_ms::float8 as start_ms
      from airlock.dag_run r
      join airlock.attempt a on a.tenant = r.tenant and a.run = r.run
      left join airlock.xcom x on x.tenant = a.tenant and x.run = a.run and x.task_id = a.task_id
                              and x.map_index = a.map_index and x.key = 'return_value'
     where r.tenant = ${tenant} and r.run_id = any(${runIds as string[]}) and a.outcome = 'success'
     order by code_s`;
  const byRun = Map.groupBy(tasks, (task) => task.run);
  return rows.map((row) => ({
    runId: row.run_id,
    dagId: row.dag_id,
    createdAt: row.created,
    startedAt: row.started,
    endedAt: row.ended,
    tasks: (byRun.get(row.run) ?? []).map((task) => {
      if (task.code_s === null)
        throw new Error(`${row.run_id}: ${task.task_id} left no time behind`);
      return {
        taskId: task.task_id,
        codeAt: task.code_s * 1000,
        endedAt: task.ended,
        startMs: task.start_ms,
      };
    }),
  }));
}

const epochMs = (sql: postgres.Sql, column: string): postgres.PendingQuery<postgres.Row[]> =>
  sql.unsafe(`(extract(epoch from ${column}) * 1000)::float8`) as never;

/** Runs `work` under a CPU profile of the platform's process, if the house was opened for that. */
export async function profiled<T>(
  bench: BenchHouse,
  folder: string | undefined,
  name: string,
  work: () => Promise<T>,
): Promise<T> {
  if (folder === undefined) return work();
  process.kill(bench.house.pid, "SIGUSR2");
  await pause(300);
  const done = await work();
  process.kill(bench.house.pid, "SIGUSR2");
  const from = join(folder, "last.cpuprofile");
  const to = join(folder, `${name}.cpuprofile`);
  await eventually(async () => {
    renameSync(from, to);
    return true;
  }, 30_000);
  say(`  profile: ${to}`);
  return done;
}
