/** `airlock worker`: the worker role alone, beside a platform, on the same database. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { BenchHouse } from "./open-bench-house.ts";

export type SecondWorker = {
  /** Of its row. */
  readonly id: string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
};

const program = join(import.meta.dirname, "..", "..", "platform", "main", "airlock.ts");

/** Resolves when its row is there and it takes jobs. */
export async function startWorker(bench: BenchHouse, home: string): Promise<SecondWorker> {
  const child = spawn(process.execPath, [program, "worker"], {
    env: {
      ...process.env,
      AIRLOCK_HOME: home,
      AIRLOCK_PORT: "0",
      DATABASE_URL: bench.databaseUrl,
      AIRLOCK_LOG_FORMAT: "json",
      AIRLOCK_LOG_LEVEL: "warn",
      NODE_OPTIONS: "",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => {
      printed = (printed + data.toString()).slice(-4_000);
    });
  const ended = new Promise<void>((done) => child.once("exit", () => done()));
  for (const until = Date.now() + 30_000; Date.now() < until; await pause(50)) {
    if (child.exitCode !== null) break;
    const [row] = await bench.sql<{ worker: string }[]>`
      select worker from airlock.worker where home = ${home} and pid = ${child.pid ?? 0} and queue_pool is not null`;
    if (row !== undefined && printed.includes("Airlock (worker) is ready"))
      return {
        id: row.worker,
        async kill() {
          child.kill("SIGKILL");
          await ended;
        },
      };
  }
  child.kill("SIGKILL");
  throw new Error(`the second worker did not start:\n${printed}`);
}
