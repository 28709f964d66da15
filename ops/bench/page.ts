/** The page: what it loads first, what its heavy screens cost, and what a thousand open browsers cost. */
import { readFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { findPage } from "../../platform/main/build-page.ts";
import { closeBrowser, noChromium, openVisitor } from "../../test/kit/browser.ts";
import { eventually } from "../../test/kit/house.ts";
import { firstLoadBytes } from "./first-load.ts";
import { percentile, say } from "./measure.ts";
import { type BenchHouse, openBenchHouse } from "./open-bench-house.ts";
import { cpuSecondsOf, memoryOf } from "./processes.ts";
import { seedBig, wideDag } from "./seed-big.ts";
import { seedLog } from "./seed-log.ts";
import type { Bench, World } from "./world.ts";

export const page: readonly Bench[] = [
  { names: ["first-load-kb"], measure: measureFirstLoad },
  {
    names: ["grid-5000x50", "dags-index-p95", "log-open-p95", "log-first-hits"],
    measure: measureHeavyAnswers,
  },
  { names: ["grid-frame-p95", "dags-frame-p95", "log-frame-p95"], measure: measureFrames },
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

const bigTenant = "big";
const bigHouse = new WeakMap<World, Promise<Big>>();
type Big = {
  readonly bench: BenchHouse;
  /** Of a try with a log as long as a small one, and of one of a gigabyte. */
  readonly logs: { readonly small: string; readonly large: string; readonly largePage: string };
};

/** A thousand DAGs, a million task instances, a DAG of 5,000 tasks and 50 runs, a log of 1 GB. */
function openBig(world: World): Promise<Big> {
  const opened = bigHouse.get(world) ?? seedHouse(world);
  bigHouse.set(world, opened);
  return opened;
}

async function seedHouse(world: World): Promise<Big> {
  const bench = await openBenchHouse({ postgres: await world.postgres(), database: "big" });
  world.onClose(() => bench.close());
  say("seeding a tenant with much in it");
  await seedBig(bench.sql, {
    tenant: bigTenant,
    dags: world.samples(1_000, 50),
    instances: world.samples(1_000_000, 40_000),
    wideTasks: world.samples(5_000, 500),
    wideRuns: world.samples(50, 10),
  });
  const rows = await bench.sql<{ attempt: string; run_id: string; task_id: string }[]>`
    select a.attempt, r.run_id, a.task_id from airlock.attempt a join airlock.dag_run r using (tenant, run)
     where a.tenant = ${bigTenant} and a.dag_id = ${wideDag} order by r.run_after desc, a.task_id limit 2`;
  const [small, large] = rows;
  if (small === undefined || large === undefined) throw new Error("the seeded DAG has no tries");
  await seedLog(bench.sql, { tenant: bigTenant, attempt: small.attempt, bytes: 1_000 });
  const log = await seedLog(bench.sql, {
    tenant: bigTenant,
    attempt: large.attempt,
    bytes: world.samples(1_000_000_000, 10_000_000),
  });
  await bench.sql`vacuum analyze airlock.log_chunk`;
  say(`  a log of ${log.lines} lines, ${(log.bytes / 1e6).toFixed(0)} MB`);
  const logOf = ({ run_id, task_id }: typeof small): string =>
    `/t/${bigTenant}/api/ui/dags/${wideDag}/dagRuns/${encodeURIComponent(run_id)}/taskInstances/${encodeURIComponent(task_id)}/tries/1/log`;
  const largePage = `/t/${bigTenant}/dags/${wideDag}/runs/${encodeURIComponent(large.run_id)}/tasks/${encodeURIComponent(large.task_id)}`;
  return { bench, logs: { small: logOf(small), large: logOf(large), largePage } };
}

async function measureHeavyAnswers(world: World): Promise<void> {
  const { bench, logs } = await openBig(world);
  const ask = await openAsker(bench);
  const count = world.samples(60, 5);
  const bare = await timed(count, () => ask("/livez"));
  const floor = percentile(bare, 0.95);
  say(`${count} grids, DAG indexes and logs`);
  const grids = await timed(count, () =>
    ask(`/t/${bigTenant}/api/ui/dags/${wideDag}/grid?limit=50`),
  );
  world.report("grid-5000x50", { value: percentile(grids, 0.95), floor, samples: count });
  const lists = await timed(count, () => ask(`/t/${bigTenant}/api/ui/dags`));
  world.report("dags-index-p95", { value: percentile(lists, 0.95), floor, samples: count });
  const open = async (log: string): Promise<void> => {
    await ask(log);
    await ask(`${log}/lines?from=0&count=200`);
  };
  const small = await timed(count, () => open(logs.small));
  const large = await timed(count, () => open(logs.large));
  world.report("log-open-p95", {
    value: percentile(large, 0.95),
    floor: percentile(small, 0.95),
    samples: count,
  });
  const hits = await timed(Math.min(count, 20), () =>
    ask(`${logs.large}/search?find=processed`, "first"),
  );
  world.report("log-first-hits", { value: percentile(hits, 0.95), floor, samples: hits.length });
}

/** Milliseconds of each; the first few are not counted. */
async function timed(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count + 3; i += 1) {
    const at = performance.now();
    await work();
    found.push(performance.now() - at);
  }
  return found.slice(3);
}

/** Reads an answer whole, or up to its first piece, and leaves. */
async function openAsker(
  bench: BenchHouse,
): Promise<(path: string, part?: "first") => Promise<void>> {
  const { token } = readProfile(bench);
  return async (path, part) => {
    const response = await fetch(`${bench.house.url}${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    if (response.status !== 200) throw new Error(`${path} answered ${response.status}`);
    if (part === undefined) {
      await response.arrayBuffer();
      return;
    }
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
  };
}

const readProfile = (bench: BenchHouse): { readonly token: string } =>
  JSON.parse(readFileSync(join(bench.house.home, "local-profile.json"), "utf8")) as {
    token: string;
  };

/**
 * Time between two frames while a person turns the wheel, as the browser paints them (software, without a graphics
 * card: slower than a person's). The floor is an empty page that scrolls.
 */
async function measureFrames(world: World): Promise<void> {
  if (noChromium) {
    say("SKIPPED: frame times need Chromium");
    return;
  }
  const { bench, logs } = await openBig(world);
  const visitor = await openVisitor({
    url: bench.house.url,
    as: { name: "admin", password: bench.house.password },
    width: 1920,
    height: 1080,
  });
  world.onClose(async () => {
    await visitor.close();
    await closeBrowser();
  });
  const { page: tab } = visitor;
  const seconds = world.samples(5, 1);
  const scroll = async (): Promise<number[]> => {
    await tab.mouse.move(900, 600);
    const frames = tab.evaluate(
      `new Promise((done) => {
         const found = []; let last = performance.now(); const end = last + ${seconds * 1000};
         const next = (at) => { found.push(at - last); last = at; if (at < end) requestAnimationFrame(next); else done(found); };
         requestAnimationFrame(next);
       })`,
    ) as Promise<number[]>;
    for (let i = 0; i < seconds * 30; i += 1) {
      await tab.mouse.wheel(0, i % 60 < 40 ? 240 : -300);
      await pause(30);
    }
    return (await frames).slice(2);
  };
  // Not a page of the platform's: its policy lets no script run in what is put there, and no frame would ever be told of.
  await tab.goto("about:blank");
  await tab.setContent(`<div style="height:100000px;background:linear-gradient(red,blue)"></div>`);
  const floor = percentile(await scroll(), 0.95);
  for (const [name, path, ready] of [
    ["grid-frame-p95", `/t/${bigTenant}/dags/${wideDag}?runs=50`, "grid"],
    ["dags-frame-p95", `/t/${bigTenant}/dags`, "grid"],
    ["log-frame-p95", logs.largePage, "any"],
  ] as const) {
    await tab.goto(path);
    if (ready === "grid") await tab.getByRole("grid").first().waitFor();
    else await tab.getByText("processed row").first().waitFor();
    await pause(1_000);
    const frames = await scroll();
    world.report(name, { value: percentile(frames, 0.95), floor, samples: frames.length });
  }
  for (const complaint of visitor.complaints) throw new Error(complaint);
}

async function openStreams(
  bench: BenchHouse,
  tenant: string,
  count: number,
  hear: (task: string) => void,
): Promise<{ close(): void }> {
  const { token } = readProfile(bench);
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
