/**
 * Loaded into the platform's process with `--import` when the bench is asked for a profile: SIGUSR2 begins a
 * CPU profile, the next one writes it as AIRLOCK_BENCH_PROFILES/last.cpuprofile. The platform itself knows nothing of it.
 */
import { renameSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";

const folder = process.env["AIRLOCK_BENCH_PROFILES"];
if (folder !== undefined && isMainThread) {
  let session: Session | undefined;
  process.on("SIGUSR2", () => {
    void toggle(folder);
  });

  const toggle = async (into: string): Promise<void> => {
    if (session === undefined) {
      session = new Session();
      session.connect();
      await session.post("Profiler.enable");
      await session.post("Profiler.setSamplingInterval", { interval: 200 });
      await session.post("Profiler.start");
      return;
    }
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    session = undefined;
    const file = join(into, "last.cpuprofile");
    writeFileSync(`${file}.part`, JSON.stringify(profile));
    renameSync(`${file}.part`, file);
  };
}
