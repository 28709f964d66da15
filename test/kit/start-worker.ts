import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { eventually } from "./house.ts";

export type Told = {
  readonly ready?: true;
  readonly started?: string;
  readonly fence?: number;
  readonly child?: number;
  readonly ended?: string;
  readonly how?: string;
  readonly workers?: readonly string[];
};

export type WorkerProcess = {
  readonly pid: number;
  readonly told: readonly Told[];
  tell(message: object): void;
  signal(name: NodeJS.Signals): void;
  /** The last start of this task here, once there is one (of at least this fence). */
  started(taskId: string, fence?: number): Promise<Told>;
  hears(what: (told: Told) => boolean, ms?: number): Promise<Told>;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
  kill(): Promise<void>;
};

/** A worker process on this database; resolves when it listens. */
export async function startWorker(
  databaseUrl: string,
  env: Record<string, string> = {},
): Promise<WorkerProcess> {
  const child: ChildProcess = fork(join(import.meta.dirname, "worker-process.ts"), [], {
    env: { ...process.env, ...env, DATABASE_URL: databaseUrl, NO_LOG_SUCCESS: "1" },
    execArgv: [],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const told: Told[] = [];
  child.on("message", (message) => told.push(message as Told));
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  const worker: WorkerProcess = {
    pid: child.pid ?? 0,
    told,
    tell: (message) => void child.send(message),
    signal: (name) => void child.kill(name),
    started: (taskId, fence = 0) =>
      worker.hears((one) => one.started === taskId && (one.fence ?? 0) >= fence),
    hears: (what, ms = 15_000) => eventually(() => Promise.resolve(told.findLast(what)), ms),
    gone,
    async kill() {
      child.kill("SIGKILL");
      await gone;
      // Its children live on, as those of a plain driver do: end the ones it told of.
      for (const { child: pid } of told) if (pid !== undefined) endProcess(pid);
    },
  };
  await worker.hears((one) => one.ready === true, 20_000);
  return worker;
}

const endProcess = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone already
  }
};

export const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
