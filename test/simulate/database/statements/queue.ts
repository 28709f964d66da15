/** graphile-worker's rows: how a doorbell is added (`add_jobs`), fetched, completed without looking who holds it, released. */

import { plain, statement } from "../recognize.ts";
import type { Statement, Wait } from "../server.ts";
import type { Job } from "../tables.ts";
import { list, number, text } from "./read.ts";

export const isAvailable = (job: Job): boolean =>
  job.locked_by === null && job.attempts < job.max_attempts;

export type Bell = {
  readonly tenant: string;
  readonly attempt: string;
  readonly queue: string;
  readonly priority: number;
};

/** `airlock.ring`: a job under this key that is locked or has no tries left loses its key, and a new one is added. */
export function* ring(s: Statement, bells: readonly Bell[]): Generator<Wait, number, void> {
  const { job: jobs } = s.tables;
  let rung = 0;
  for (const { tenant, attempt, queue, priority } of bells) {
    if (s.transaction.tenant !== "" && s.transaction.tenant !== tenant) continue;
    const key = `a:${attempt}`;
    const isMeant = (job: Job): boolean => job.key === key && !isAvailable(job);
    for (const job of yield* s.lockMatching(jobs, s.all(jobs), isMeant))
      s.put(jobs, { ...job, key: null, attempts: job.max_attempts });
    const fresh: Job = {
      id: String(s.server.sequences.job++),
      key,
      queue,
      tenant,
      attempt,
      priority,
      run_at: s.clock,
      attempts: 0,
      max_attempts: 25,
      locked_by: null,
      locked_at: null,
    };
    rung += 1;
    while (!(yield* s.insert(jobs, fresh))) {
      const twin = newestJobs(s).find((job) => job.key === key);
      if (twin === undefined) continue;
      const now = yield* s.lock(jobs, twin.id);
      if (now?.key !== key) continue;
      s.put(jobs, { ...fresh, id: now.id, locked_by: now.locked_by, locked_at: now.locked_at });
      break;
    }
  }
  if (rung > 0) s.transaction.notes.push({ channel: "jobs:insert", payload: "" });
  return rung;
}

function newestJobs(s: Statement): Job[] {
  const { snapshot } = s;
  s.snapshot = Number.POSITIVE_INFINITY;
  const jobs = s.all(s.tables.job);
  s.snapshot = snapshot;
  return jobs;
}

/** `airlock.release_pool`: what nobody claimed rings anew first, then the pool's rows go. */
export function* releasePool(s: Statement, pool: string): Generator<Wait, number, void> {
  const { job: jobs } = s.tables;
  const old = s.all(jobs).filter((job) => job.locked_by === pool);
  const again = old.flatMap((job) => {
    const row = job.key === null ? undefined : s.get(s.tables.attempt, job.attempt);
    return row?.state === "admitted" ? [{ ...row, priority: 0 }] : [];
  });
  if (again.length > 0) yield* ring(s, again);
  for (const job of yield* s.lockMatching(jobs, old, () => true)) s.remove(jobs, job);
  return old.length;
}

export function queueStatements(): void {
  statement("release pool", ["=select airlock.release_pool(?)"], function* (s, [pool]) {
    yield* releasePool(s, text(pool));
    return [{}];
  });
  statement("release strays", ["select airlock.release_strays"], function* (s, [older]) {
    const owned = new Set(s.all(s.tables.worker).map((row) => row.queue_pool));
    const strays = new Set(
      s
        .all(s.tables.job)
        .filter(
          (job) =>
            job.locked_by !== null &&
            !owned.has(job.locked_by) &&
            (job.locked_at ?? 0) < s.clock - number(older) * 1000,
        )
        .map((job) => job.locked_by ?? ""),
    );
    let n = 0;
    for (const pool of strays) n += yield* releasePool(s, pool);
    return [{ n }];
  });
  statement("ring forgotten", ["from airlock.forgotten(make_interval"], function* (s, [older]) {
    const rung = new Set(
      s
        .all(s.tables.job)
        .filter((job) => job.attempts < job.max_attempts)
        .map((job) => job.key),
    );
    const forgotten = s
      .all(s.tables.attempt)
      .filter(
        (row) =>
          row.state === "admitted" &&
          row.admitted_at < s.clock - number(older) * 1000 &&
          !rung.has(`a:${row.attempt}`),
      );
    return [
      {
        rung: yield* ring(
          s,
          forgotten.map((row) => ({ ...row, priority: 0 })),
        ),
      },
    ];
  });
  statement(
    "fetch job",
    ["=graphile: get_job ? ?"],
    plain((s, [pool, queues]) => {
      const { job: jobs } = s.tables;
      const next = s
        .all(jobs)
        .filter(
          (job) => isAvailable(job) && list(queues).includes(job.queue) && job.run_at <= s.clock,
        )
        .toSorted(
          (a, b) => a.priority - b.priority || a.run_at - b.run_at || Number(a.id) - Number(b.id),
        );
      for (const { id } of next) {
        if (!s.tryLock(jobs, id)) continue;
        const job = s.newest(jobs, id);
        if (job === undefined || !isAvailable(job)) continue;
        s.put(jobs, {
          ...job,
          attempts: job.attempts + 1,
          locked_by: text(pool),
          locked_at: s.clock,
        });
        return [{ id, tenant: job.tenant, attempt: job.attempt }];
      }
      return [];
    }),
  );
  statement("complete job", ["=graphile: complete_job ?"], function* (s, [id]) {
    const job = yield* s.lock(s.tables.job, text(id));
    if (job !== undefined) s.remove(s.tables.job, job);
    return [];
  });
}
