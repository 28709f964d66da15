/** Postgres goes away under everything and comes back on the same port: work waits, nothing is lost, it goes on by itself. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openLog } from "../../ops/telemetry/log.ts";
import { openFeed } from "../../platform/live/open-feed.ts";
import { known } from "../../platform/model/ids.ts";
import { type EmbeddedPostgres, startEmbedded } from "../../platform/postgres/embedded.ts";
import { migrateQueue } from "../../platform/queue/migrate.ts";
import { runScheduler } from "../../platform/scheduler/run-scheduler.ts";
import type { Change } from "../../platform/store/changes.ts";
import { migrate } from "../../platform/store/migrate.ts";
import { dagSpec } from "../kit/dag-spec.ts";
import { eventually } from "../kit/house.ts";
import { openRunStageOn, type RunStage } from "../kit/run-stage.ts";
import { startWorker } from "../kit/start-worker.ts";

const folder = mkdtempSync(join(tmpdir(), "airlock-restart-"));
const options = { folder: join(folder, "postgres"), volatile: true, maxConnections: 60 };
let server: EmbeddedPostgres;
let stage: RunStage;

beforeAll(async () => {
  chmodSync(folder, 0o755);
  server = await startEmbedded(options);
  await migrateQueue(server.url);
  await migrate(server.url);
  stage = openRunStageOn(server.url);
  await stage.reset();
});
afterAll(async () => {
  await stage.closeAll();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("tasks that run, chains that hop, the clock and the feed all outlive a restart", async () => {
  const log = openLog({ format: "json", level: "silent" });
  const scheduler = runScheduler({
    ...stage,
    log,
    home: "here",
    myWorkers: () => [],
    leaseSeconds: 6,
  });
  const feed = await openFeed(stage.store, log);
  const seen: Change[] = [];
  const opened = Promise.withResolvers<undefined>();
  feed.subscribe(
    stage.tenant,
    (changes) => seen.push(...changes),
    () => opened.resolve(undefined),
  );
  await opened.promise;
  const worker = await startWorker(server.url, { LEASE_SECONDS: "6" });
  try {
    await stage.deploy(
      dagSpec([{ task_id: "long", downstream: ["quick"] }, { task_id: "quick" }], {
        dag_id: known.dag("held"),
      }),
    );
    await stage.deploy(
      dagSpec(
        [
          { task_id: "quick1", downstream: ["quick2"] },
          { task_id: "quick2", downstream: ["quick3"] },
          { task_id: "quick3" },
        ],
        { dag_id: known.dag("chain") },
      ),
      { max_active_runs: 100 },
    );
    await stage.deploy(dagSpec([{ task_id: "asks" }], { dag_id: known.dag("asking") }));
    const held = await stage.trigger("held");
    const before = await worker.started("long");
    const asking = await stage.trigger("asking");
    await worker.started("asks");
    const chains = [];
    for (let i = 0; i < 8; i += 1) chains.push(await stage.trigger("chain"));

    const { port } = server;
    await server.stop();
    worker.tell({ finish: "long" }); // its answer waits for the database
    await worker.hears((told) => told.ended === "long");
    worker.tell({ finish: "asks" }); // what it asks the house waits as well, and its only try is not spent
    await pause(1_000); // away for a while, not for the blink of an eye
    server = await startEmbedded(options);
    expect(server.port).toBe(port);

    for (const run of [held, asking, ...chains])
      await eventually(async () =>
        (await stage.runState(run)).state === "success" ? true : undefined,
      );
    // The answer that waited was taken as it was: nothing of it ran again.
    expect(worker.told.filter((told) => told.started === "long")).toHaveLength(1);
    expect(before.fence).toBe(1);
    for (let i = 0; i < 3; i += 1) {
      const run = await stage.trigger("chain");
      await eventually(async () =>
        (await stage.runState(run)).state === "success" ? true : undefined,
      );
    }
    const changes = await stage.database.owner<
      { seq: string }[]
    >`select seq from airlock.change order by seq`;
    await eventually(() => Promise.resolve(seen.length >= changes.length ? true : undefined));
    expect(seen.map((change) => change.seq).toSorted((a, b) => Number(a) - Number(b))).toEqual(
      changes.map((change) => change.seq),
    );
    expect(await stage.brokenPromises()).toEqual([]);
  } finally {
    await worker.kill();
    feed.close();
    await scheduler.stop();
  }
}, 60_000);
