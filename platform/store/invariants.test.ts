/** Each invariant finds what breaks it, and none of them is fooled by work that is under way. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { openRunStage, type RunStage } from "../../test/kit/run-stage.ts";
import type { RunKey } from "../model/ids.ts";
import { checkInvariants, invariants } from "./invariants.ts";

let stage: RunStage;
beforeAll(async () => {
  stage = await openRunStage();
});
afterAll(() => stage.closeAll());
beforeEach(() => stage.reset());

const broken = async (): Promise<string[]> =>
  (await checkInvariants(stage.database.url)).filter(({ ok }) => !ok).map(({ id }) => id);

/** A run of two tasks: the first has been claimed, the second waits for it. */
async function halfway(): Promise<RunKey> {
  await stage.deploy(
    dagSpec([{ task_id: "first", downstream: ["second"] }, { task_id: "second" }]),
  );
  const run = await stage.trigger("d");
  await stage.claimNext(run);
  await stage.database
    .owner`insert into airlock.role_beat (role, at) values ('scheduler', clock_timestamp())
    on conflict (role) do update set at = excluded.at`;
  return run;
}

test("an empty database, and one in the middle of its work, break nothing", async () => {
  expect(await broken()).toEqual([]);
  const run = await halfway();
  expect(await broken()).toEqual([]);
  const [claimed] = await stage.database.owner<{ attempt: string }[]>`
    select attempt from airlock.attempt where run = ${run}`;
  expect(claimed).toBeDefined();
});

test("a transaction that is under way is seen whole or not at all", async () => {
  const run = await halfway();
  await stage.database.owner
    .begin(async (tx) => {
      await tx`update airlock.task_instance set state = 'success' where run = ${run} and task_id = 'first'`;
      expect(await broken()).toEqual([]);
      throw new Error("void");
    })
    .catch((error: Error) => expect(error.message).toBe("void"));
});

const faults: Record<string, (run: RunKey) => Promise<unknown>> = {
  async I1(run) {
    // What the index forbids: a second open attempt.
    await stage.database.owner`drop index airlock.attempt_open`;
    await stage.database.owner`
      insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue)
      values ('acme', ${randomUUID()}, ${run}, 'd', 'first', -1, 1, 'admitted', 'default')`;
  },
  "I1-same": (run) =>
    stage.database
      .owner`update airlock.task_instance set state = 'queued' where run = ${run} and task_id = 'first'`,
  "I1-held": (run) =>
    stage.database.owner`update airlock.attempt set state = 'ended' where run = ${run}`,
  I2: (run) =>
    stage.database.owner`
      insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue, outcome)
      values ('acme', ${randomUUID()}, ${run}, 'd', 'first', -1, 7, 'ended', 'default', 'failed')`,
  I3: (run) =>
    stage.database.owner`
      insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue, outcome)
      values ('acme', ${randomUUID()}, ${run}, 'd', 'first', -1, 1, 'ended', 'default', 'success')`,
  "I4-lease": (run) =>
    stage.database
      .owner`update airlock.attempt set lease_until = now() - interval '11 s' where run = ${run}`,
  async "I4-bell"(run) {
    await stage.database.owner`delete from graphile_worker._private_jobs`;
    await stage.database.owner`
      update airlock.attempt set state = 'admitted', admitted_at = now() - interval '61 s' where run = ${run}`;
  },
  "I4-timer": (run) =>
    stage.database
      .owner`update airlock.task_instance set state = 'up_for_retry' where run = ${run} and task_id = 'first'`,
  I5: (run) =>
    stage.database.owner`
      insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
      values ('acme', ${run}, 'd', 'r', 'first', -1, 1, 'scheduled', 'queued')`,
  "I5-pair": (run) =>
    stage.database.owner`
      insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
      values ('acme', ${run}, 'd', 'r', 'first', -1, 1, 'running', 'success'), ('acme', ${run}, 'd', 'r', 'first', -1, 1, 'success', 'queued')`,
  I6: (run) => stage.database.owner`delete from airlock.permit where run = ${run}`,
  "I7-ended": (run) =>
    stage.database.owner`update airlock.dag_run set state = 'success' where run = ${run}`,
  async "I7-open"(run) {
    await stage.database.owner`update airlock.attempt set state = 'ended' where run = ${run}`;
    await stage.database
      .owner`update airlock.task_instance set state = null where run = ${run} and task_id = 'first'`;
  },
  "I7-count": (run) =>
    stage.database.owner`update airlock.dag_run set unfinished = 5 where run = ${run}`,
  "I7-counters": (run) =>
    stage.database
      .owner`update airlock.task_counter set success = 1 where run = ${run} and task_id = 'second'`,
  async I8(run) {
    await stage.database.owner`insert into airlock.tenant (tenant) values ('globex')`;
    await stage.database.owner`
      insert into airlock.log_chunk (tenant, attempt, seq, lines, text)
      select 'globex', attempt, 0, 1, 'x' from airlock.attempt where run = ${run}`;
  },
  I9: () => stage.database.owner`update airlock.dag set next_run_at = now() - interval '61 s'`,
  I10: () =>
    stage.database.owner`
      update graphile_worker._private_jobs set locked_by = 'nobody', locked_at = now() - interval '31 s'`,
};

test("there is a fault for each of them", () => {
  expect(Object.keys(faults).toSorted()).toEqual(invariants.map(({ id }) => id).toSorted());
});

test.each(invariants.map(({ id, sentence }) => [id, sentence]))(
  "%s is seen where it is broken: %s",
  async (id) => {
    const run = await halfway();
    await faults[id]?.(run);
    const found = (await checkInvariants(stage.database.url)).find((one) => one.id === id);
    expect(found).toMatchObject({ ok: false });
    expect(found?.violations).toBeGreaterThan(0);
    expect(found?.rows.length).toBeGreaterThan(0);
  },
);

test("without a scheduler nothing is late", async () => {
  const run = await halfway();
  await faults["I4-lease"]?.(run);
  await stage.database.owner`update airlock.role_beat set at = now() - interval '1 hour'`;
  expect(await broken()).toEqual([]);
});

test("of many rows the first twenty are shown, and all are counted", async () => {
  await halfway();
  await stage.database.owner`
    insert into airlock.change (tenant, run, dag_id, run_id, task_id, map_index, try_number, from_state, to_state)
    select 'acme', 999, 'd', 'r', 't' || n, -1, 1, 'success', 'queued' from generate_series(1, 50) n`;
  const found = (await checkInvariants(stage.database.url)).find(({ id }) => id === "I5-pair");
  expect(found?.violations).toBe(50);
  expect(found?.rows).toHaveLength(20);
});
