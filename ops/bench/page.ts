/** The page: what it loads first, and what a thousand open browsers cost. */
import { readFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { findPage } from "../../platform/main/build-page.ts";
import { eventually } from "../../test/kit/house.ts";
import { firstLoadBytes } from "./first-load.ts";
import { percentile, say } from "./measure.ts";
import { type BenchHouse, openBenchHouse } from "./open-bench-house.ts";
import { cpuSecondsOf, memoryOf } from "./processes.ts";
import type { Bench, World } from "./world.ts";

export const page: readonly Bench[] = [
  { names: ["first-load-kb"], measure: measureFirstLoad },
  { names: ["live-1000-cpu", "live-1000-kb", "live-1000-delta-p95"], measure: measureLive },
];

/** Beside it, the floor that no page of this kind goes below: its view library alone. */
async function measureFirstLoad(world: World): Promise<void> {
  const folder = await findPage(say);
  if (folder === undefined) throw new Error("the page is not built, and cannot be built here");
  const library = join(
    dirname(createRequire(import.meta.url).resolve("react-dom/package.json")),
    "cjs",
    "react-dom-client.production.js",
  );
  world.report("first-load-kb", {
    value: firstLoadBytes(folder) / 1000,
    floor: gzipSync(readFileSync(library)).length / 1000,
    samples: 1,
  });
}

/**
 * Open streams of as many browsers, first while nothing happens, then with ten changes per second. A delta's time is
 * from the row's commit to the last line read by each browser. The readers are of this process, on the same cores.
 */
async function measureLive(world: World): Promise<void> {
  const count = world.samples(1_000, 50);
  const tenant = "watched";
  const bench = await openBenchHouse({ postgres: await world.postgres(), database: "live" });
  world.onClose(() => bench.close());
  await bench.makeTenant(tenant);
  const { pid } = bench.house;
  await pause(world.samples(10_000, 2_000));
  const before = memoryOf([pid]);
  say(`${count} open browsers, nothing happens`);
  const heard = new Map<string, number[]>();
  const streams = await openStreams(bench, tenant, count, (task) =>
    heard.get(task)?.push(performance.now()),
  );
  world.onClose(async () => streams.close());
  const seconds = world.samples(20, 3);
  await pause(2_000);
  const cpu = cpuSecondsOf([pid]);
  await pause(seconds * 1_000);
  const idle = cpuSecondsOf([pid]) - cpu;
  const changes = world.samples(100, 10);
  say(`${changes} changes, ten each second`);
  const late: number[] = [];
  for (let i = 0; i < changes; i += 1) {
    const task = `t${i}`;
    heard.set(task, []);
    await bench.sql`
      insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
      values (${tenant}, 1, 'd', 'r', ${task}, -1, 1, null, 'queued')`;
    const committed = performance.now();
    await bench.sql`select pg_notify('airlock_feed', '')`;
    await eventually(async () => ((heard.get(task)?.length ?? 0) >= count ? true : undefined));
    late.push(...(heard.get(task) ?? []).map((at) => at - committed));
    heard.delete(task);
    await pause(Math.max(0, 100 - (performance.now() - committed)));
  }
  world.report("live-1000-cpu", { value: (idle / seconds) * 100, floor: null, samples: 1 });
  world.report("live-1000-kb", {
    value: ((memoryOf([pid]) - before) * 1024) / count,
    floor: null,
    samples: 1,
  });
  world.report("live-1000-delta-p95", {
    value: percentile(late, 0.95),
    floor: null,
    samples: late.length,
  });
}

async function openStreams(
  bench: BenchHouse,
  tenant: string,
  count: number,
  hear: (task: string) => void,
): Promise<{ close(): void }> {
  const { token } = JSON.parse(
    readFileSync(join(bench.house.home, "local-profile.json"), "utf8"),
  ) as { token: string };
  const open = (): Promise<IncomingMessage> =>
    new Promise((done, fail) => {
      get(
        `${bench.house.url}/api/platform/live?tenant=${tenant}`,
        { agent: false, headers: { authorization: `Bearer ${token}` } },
        (response) => {
          if (response.statusCode !== 200)
            fail(new Error(`a stream answered ${response.statusCode}`));
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => {
            text += chunk;
            for (let at = text.indexOf("\n\n"); at >= 0; at = text.indexOf("\n\n")) {
              const task = /"task_id":"([^"]+)"/.exec(text.slice(0, at))?.[1];
              text = text.slice(at + 2);
              if (task !== undefined) hear(task);
            }
          });
          done(response);
        },
      ).once("error", fail);
    });
  const streams: IncomingMessage[] = [];
  while (streams.length < count)
    streams.push(
      ...(await Promise.all(Array.from({ length: Math.min(50, count - streams.length) }, open))),
    );
  return {
    close: () => {
      for (const stream of streams) stream.destroy();
    },
  };
}
