/**
 * A worker as a process of its own, to be killed, frozen and cut off: the real executor, door and queue, and a guest
 * that starts a real child process and waits for the word of the test. Talks over the IPC channel.
 *
 *   told:  { finish: task_id }   the running task of that name succeeds; one that asks first asks the house something
 *   tells: { ready: true } · { started: task_id, fence, child } · { ended: task_id, how } · { workers: [...] }
 */
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../../ops/telemetry/log.ts";
import { openExecutor } from "../../platform/executor/open-executor.ts";
import type { AttemptOutcome, Guests } from "../../platform/model/guest.ts";
import { openDirectoryObjects } from "../../platform/objects/open-objects.ts";
import { openDoor } from "../../platform/runs/advance-run.ts";
import { openDagCache } from "../../platform/runs/dag-cache.ts";
import { openStore } from "../../platform/store/open.ts";

const url = process.env["DATABASE_URL"] ?? "";
const leaseSeconds = Number(process.env["LEASE_SECONDS"] ?? 15);
const say = (message: object): void => void process.send?.(message);

const waiting = new Map<string, () => void>();
const guests: Guests = {
  run(_key, start, host, signal) {
    const child = spawn("sleep", ["600"], { stdio: "ignore" });
    say({ started: start.task_id, fence: start.fence, child: child.pid });
    const usage = { cpu_s: 0, peak_memory_bytes: 0, start_ms: 1, wall_ms: 1 };
    return new Promise<AttemptOutcome>((resolve) => {
      const end = (outcome: AttemptOutcome): void => {
        waiting.delete(start.task_id);
        child.once("exit", () => {
          say({ ended: start.task_id, how: outcome.kind });
          resolve(outcome);
        });
        child.kill("SIGKILL");
      };
      const finish = async (): Promise<void> => {
        if (start.task_id.startsWith("asks")) await host.getDagRunState("none", "none");
        end({ kind: "success", usage });
      };
      waiting.set(start.task_id, () => {
        finish().catch((error: unknown) =>
          end({ kind: "failed", retryable: true, reason: String(error), usage }),
        );
      });
      signal.addEventListener("abort", () => end({ kind: "stopped", reason: "told to", usage }), {
        once: true,
      });
      if (start.task_id.startsWith("quick")) end({ kind: "success", usage });
      // What no supervisor lets through, as if one did.
      if (start.task_id.startsWith("unstorable"))
        end({ kind: "failed", retryable: true, reason: "half of \u0000 it", usage });
    });
  },
  parse() {
    throw new Error("this worker parses nothing");
  },
};

const log = openLog({ format: "json", level: process.env["LOG_LEVEL"] ?? "fatal" });
const store = openStore(url, { applicationName: "airlock-test-worker" });
const dags = openDagCache();
const door = openDoor({
  store,
  dags,
  leaseSeconds,
  changed: () => undefined,
  stopped: (stops) =>
    executor.stopAttempts(
      stops.map((stop) => stop.attempt),
      "stopped",
    ),
  timerSet: () => undefined,
  runEnded: () => undefined,
  onProblem: () => undefined,
});
const executor = await openExecutor({
  store,
  databaseUrl: url,
  door,
  dags,
  guests,
  objects: openDirectoryObjects(join(tmpdir(), `airlock-worker-${process.pid}`)),
  things: {
    getConnection: () => Promise.resolve(undefined),
    getVariable: () => Promise.resolve(undefined),
    putVariable: () => Promise.resolve(),
    deleteVariable: () => Promise.resolve(false),
    triggerDagRun: () => Promise.resolve({ ok: false }),
  },
  bundle: () => Promise.resolve({ dir: "/", dagsFolder: "", limits: {} as never }),
  environment: () => Promise.resolve({ hash: "none", interpreter: "/bin/false" }),
  home: process.env["WORKER_HOME"] ?? String(process.pid),
  queues: ["default"],
  slots: Number(process.env["SLOTS"] ?? 4),
  leaseSeconds,
  log,
});
process.on("message", (message: { finish?: string; drain?: number; workers?: true }) => {
  if (message.finish !== undefined) waiting.get(message.finish)?.();
  if (message.workers === true) say({ workers: executor.workers() });
  if (message.drain !== undefined)
    void executor.drain(message.drain).then(async () => {
      await store.close();
      process.exit(0);
    });
});
process.on("disconnect", () => process.exit(1));
say({ ready: true });
