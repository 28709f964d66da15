/**
 * The barest things that could do what the platform does, on the same machine in the same minutes: what is
 * left of a figure above its floor is the platform's own doing.
 *
 * - a bare house: a door-shaped transaction of two round trips, and a fork in a warm sandboxed Python
 * - a bare doorbell: one graphile job, from its insertion to its start
 * - a bare fork, a bare git push and fetch, bare starts of Node and Postgres
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import postgres from "postgres";
import { startEmbedded } from "../../platform/postgres/embedded.ts";
import { migrateQueue } from "../../platform/queue/migrate.ts";
import { runPool } from "../../platform/queue/run-pool.ts";
import { defaultLimits } from "../../tenants/registry/limits.ts";
import { findPython } from "../../tenants/sandbox/interpreters.ts";
import type { Boxed } from "../../tenants/sandbox/launch.ts";
import { openSandbox } from "../../tenants/sandbox/open-sandbox.ts";
import { run as runProgram } from "../../test/kit/house.ts";

/** Times are epoch milliseconds, of Postgres' clock and of the author's code: one clock, since all is one machine. */
export type Chained = {
  readonly createdAt: number;
  readonly endedAt: number;
  readonly steps: readonly { readonly startedAt: number; readonly endedAt: number }[];
};

export type BareHouse = {
  /** So many steps one after the other, each `fib(n)` (0: nothing). */
  chain(steps: number, n: number): Promise<Chained>;
  /** One row in one transaction, on its way to the disk. */
  write(): Promise<void>;
  /** Milliseconds of each of so many forks inside the sandbox. */
  forks(count: number): Promise<readonly number[]>;
  /** For CPU figures: what runs beside this process. */
  readonly pid: number;
  close(): Promise<void>;
};

const guestUid = 61_001;
const connections = 12;

/** `databaseUrl`: an empty database of its own. */
export async function openBareHouse(databaseUrl: string): Promise<BareHouse> {
  const folder = mkdtempSync(join(tmpdir(), "airlock-floor-"));
  chmodSync(folder, 0o711);
  const sandbox = await openSandbox({ stateDir: folder });
  const guest = await startGuest(folder, sandbox);
  const sql = postgres(databaseUrl, { max: connections, onnotice: () => undefined });
  await sql.unsafe(tables);

  return {
    pid: process.pid,
    forks: (count) => guest.forks(count),
    async write() {
      await sql`insert into run (id, state, steps_left) values (${randomUUID()}, 'success', 0)`;
    },
    async chain(steps, n) {
      const { run, attempt, at } = await create(sql, steps);
      const found: { startedAt: number; endedAt: number }[] = [];
      let current: string | undefined = attempt;
      let endedAt = at;
      for (let step = 0; current !== undefined; step += 1) {
        const startedAt = await guest.run(current, n);
        const finished: Finished = await finish(sql, {
          run,
          step,
          steps,
          attempt: current,
          startedAt,
        });
        endedAt = finished.endedAt;
        found.push({ startedAt, endedAt });
        current = finished.next;
      }
      return { createdAt: at, endedAt, steps: found };
    },
    async close() {
      guest.close();
      await sql.end({ timeout: 2 });
      await sandbox.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const tables = `
create table run (id uuid primary key, state text not null, steps_left int not null, at timestamptz not null default clock_timestamp(), ended timestamptz);
create table step (run uuid, i int, state text not null, upstream_left int not null, value jsonb, primary key (run, i));
create table attempt (id uuid primary key, run uuid, i int, fence int not null, state text not null, at timestamptz default clock_timestamp(), ended timestamptz);
create index on attempt (run, i);`;

async function create(
  sql: postgres.Sql,
  steps: number,
): Promise<{ readonly run: string; readonly attempt: string; readonly at: number }> {
  const [run, attempt] = [randomUUID(), randomUUID()];
  const tx = await sql.reserve();
  try {
    const [, made] = await Promise.all([
      tx`begin`,
      tx<{ at: number }[]>`
        insert into run (id, state, steps_left) values (${run}, 'running', ${steps})
        returning (extract(epoch from at) * 1000)::float8 as at`,
      tx`insert into step (run, i, state, upstream_left)
         select ${run}, g, case when g = 0 then 'running' else 'none' end, case when g = 0 then 0 else 1 end
           from generate_series(0, ${steps - 1}::int) g`,
      tx`insert into attempt (id, run, i, state, fence) values (${attempt}, ${run}, 0, 'running', 1)`,
      tx`commit`,
    ]);
    return { run, attempt, at: made[0]?.at ?? 0 };
  } finally {
    tx.release();
  }
}

type Finished = { readonly endedAt: number; readonly next: string | undefined };

/** Lock and look in one round trip; write, make the next step's attempt and commit in the other. */
async function finish(
  sql: postgres.Sql,
  at: { run: string; step: number; steps: number; attempt: string; startedAt: number },
): Promise<Finished> {
  const tx = await sql.reserve();
  try {
    const [, view] = await Promise.all([
      tx`begin`,
      tx`select r.steps_left, s.upstream_left from run r left join step s on s.run = r.id and s.i = ${at.step + 1}
          where r.id = ${at.run} for update of r`,
    ]);
    if (view.length !== 1) throw new Error("the bare house lost a run");
    const isLast = at.step + 1 >= at.steps;
    const next = isLast ? undefined : randomUUID();
    const [ended] = await Promise.all([
      tx<{ ended: number }[]>`
        with a as (update attempt set state = 'ended', ended = clock_timestamp() where id = ${at.attempt} and state = 'running' returning run, ended),
             s as (update step set state = 'success', value = ${sql.json({ at: at.startedAt })} where run = ${at.run} and i = ${at.step}),
             r as (update run set steps_left = steps_left - 1, state = ${isLast ? "success" : "running"},
                          ended = case when ${isLast} then clock_timestamp() end where id = (select run from a))
        select (extract(epoch from ended) * 1000)::float8 as ended from a`,
      ...(next === undefined
        ? []
        : [
            tx`with s as (update step set upstream_left = 0, state = 'running' where run = ${at.run} and i = ${at.step + 1})
               insert into attempt (id, run, i, state, fence) values (${next}, ${at.run}, ${at.step + 1}, 'running', 1)`,
          ]),
      tx`commit`,
    ]);
    return { endedAt: ended[0]?.ended ?? 0, next };
  } finally {
    tx.release();
  }
}

type Guest = {
  /** Forks for it; when its code began, epoch milliseconds. */
  run(id: string, n: number): Promise<number>;
  forks(count: number): Promise<readonly number[]>;
  close(): void;
};

async function startGuest(
  folder: string,
  sandbox: Awaited<ReturnType<typeof openSandbox>>,
): Promise<Guest> {
  const python = findPython(guestUid);
  if (!python.ok) throw new Error(python.problem.message);
  const program = join(folder, "program");
  const sockets = join(folder, "sockets");
  for (const made of [program, sockets]) {
    mkdirSync(made);
    chmodSync(made, 0o755);
  }
  copyFileSync(join(import.meta.dirname, "bare-guest.py"), join(program, "guest.py"));
  chmodSync(join(program, "guest.py"), 0o644);
  const socket = join(sockets, "s");
  const waiting = new Map<string, (at: number) => void>();
  const server = await listenFor(socket, (text) => {
    const { id, at } = JSON.parse(text) as { id: string; at: number };
    waiting.get(id)?.(at * 1000);
    waiting.delete(id);
  });
  chmodSync(socket, 0o666);
  if (sandbox.root) chownSync(socket, 0, guestUid);
  const inside = sandbox.binds ? "/floor" : undefined;
  const boxed: Boxed = await sandbox.launch({
    name: "the bare guest",
    uid: guestUid,
    command: [
      python.value.python.path,
      "-I",
      join(inside ?? program, "guest.py"),
      join(inside === undefined ? sockets : "/floor-sockets", "s"),
    ],
    binds: [
      ...(python.value.python.path.startsWith("/usr/")
        ? []
        : [
            bind(
              dirname(dirname(python.value.python.path)),
              dirname(dirname(python.value.python.path)),
            ),
          ]),
      bind(program, "/floor"),
      bind(sockets, "/floor-sockets"),
    ],
    cwd: "/tmp",
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8" },
    egress: [],
    limits: defaultLimits,
    first: true,
  });
  let told: ((line: Record<string, unknown>) => void) | undefined;
  let words = "";
  boxed.stderr.on("data", (data: Buffer) => {
    words = (words + data.toString()).slice(-2000);
  });
  createInterface({ input: boxed.stdout }).on("line", (line) =>
    told?.(JSON.parse(line) as Record<string, unknown>),
  );
  const nextLine = (): Promise<Record<string, unknown>> =>
    Promise.race([
      new Promise<Record<string, unknown>>((resolve) => {
        told = resolve;
      }),
      boxed.exited.then(() => {
        throw new Error(`the bare guest ended: ${words}`);
      }),
    ]);
  await nextLine();
  return {
    run: (id, n) =>
      new Promise((resolve) => {
        waiting.set(id, resolve);
        boxed.stdin.write(`${JSON.stringify({ id, n })}\n`);
      }),
    async forks(count) {
      const answered = nextLine();
      boxed.stdin.write(`${JSON.stringify({ forks: count })}\n`);
      return (await answered)["forks"] as number[];
    },
    close() {
      boxed.kill();
      server.close();
    },
  };
}

const bind = (from: string, to: string): { from: string; to: string; access: "read" } => ({
  from,
  to,
  access: "read",
});

function listenFor(path: string, onLine: (text: string) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    createInterface({ input: socket }).on("line", onLine);
  });
  return new Promise((done) => server.listen(path, () => done(server)));
}

/** Milliseconds from the call that inserts a graphile job to the start of its handler. */
export async function measureBareDoorbell(
  databaseUrl: string,
  samples: number,
): Promise<readonly number[]> {
  await migrateQueue(databaseUrl);
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
  let started: () => void = () => undefined;
  const pool = await runPool({
    url: databaseUrl,
    queues: ["floor"],
    concurrency: 4,
    onJob: () => {
      started();
      return Promise.resolve();
    },
    onPoolId: () => undefined,
    onPoolGone: () => undefined,
    onProblem: (message, error) => {
      throw new Error(message, { cause: error });
    },
  });
  const found: number[] = [];
  for (let i = 0; i < samples + 5; i += 1) {
    const begun = new Promise<void>((done) => {
      started = done;
    });
    const at = performance.now();
    await sql`select graphile_worker.add_job('run:floor', json_build_object('t', 'floor', 'a', ${randomUUID()}::text))`;
    await begun;
    found.push(performance.now() - at);
  }
  await pool.stop();
  await sql.end({ timeout: 2 });
  return found.slice(5);
}

/** Milliseconds of `git push` to a bare repository on this disk, and of a `git fetch` of it into another. */
export async function measureBareGit(
  files: ReadonlyMap<string, string>,
  samples: number,
): Promise<{ readonly push: readonly number[]; readonly fetch: readonly number[] }> {
  const folder = mkdtempSync(join(tmpdir(), "airlock-floor-git-"));
  const env = {
    ...process.env,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_AUTHOR_NAME: "bench",
    GIT_AUTHOR_EMAIL: "bench@example.org",
    GIT_COMMITTER_NAME: "bench",
    GIT_COMMITTER_EMAIL: "bench@example.org",
  };
  const git = async (...args: string[]): Promise<void> => {
    const ran = await runProgram("git", args, { env, cwd: folder });
    if (ran.code !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`);
  };
  const timed = async (...args: string[]): Promise<number> => {
    const at = performance.now();
    await git(...args);
    return performance.now() - at;
  };
  const push: number[] = [];
  const fetch: number[] = [];
  try {
    await git("init", "--quiet", "--bare", "hosted.git");
    await git("init", "--quiet", "--bare", "mirror.git");
    await git("init", "--quiet", "--initial-branch=main", "work");
    for (const [path, text] of files) {
      mkdirSync(dirname(join(folder, "work", path)), { recursive: true });
      writeFileSync(join(folder, "work", path), text);
    }
    const [first = "file"] = files.keys();
    for (let i = 0; i < samples; i += 1) {
      writeFileSync(join(folder, "work", first), `${files.get(first) ?? ""}\n# ${i}\n`);
      await git("-C", "work", "add", "--all");
      await git("-C", "work", "commit", "--quiet", "--message", String(i));
      push.push(await timed("-C", "work", "push", "--quiet", join(folder, "hosted.git"), "main"));
      fetch.push(
        await timed(
          "-C",
          "mirror.git",
          "fetch",
          "--quiet",
          "--depth=1",
          `file://${folder}/hosted.git`,
          "+main:head",
        ),
      );
    }
    return { push, fetch };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Milliseconds of a bare Node that does nothing, and of a bare Postgres on a new folder and again on the same. */
export async function measureBareStarts(samples: number): Promise<{
  readonly node: number;
  readonly postgresFirst: number;
  readonly postgresAgain: number;
}> {
  const node: number[] = [];
  for (let i = 0; i < samples; i += 1) {
    const at = performance.now();
    const ran = await runProgram(process.execPath, ["-e", "0"]);
    if (ran.code !== 0) throw new Error(`node: ${ran.stderr}`);
    node.push(performance.now() - at);
  }
  const home = mkdtempSync(join(tmpdir(), "airlock-floor-postgres-"));
  chmodSync(home, 0o711);
  const timed = async (): Promise<number> => {
    const at = performance.now();
    const server = await startEmbedded({ folder: join(home, "postgres") });
    const ms = performance.now() - at;
    await server.stop();
    return ms;
  };
  try {
    const postgresFirst = await timed();
    const postgresAgain = await timed();
    return { node: Math.min(...node), postgresFirst, postgresAgain };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** A bare Node that waits: the memory below which nothing written for Node comes. */
export function startIdleNode(): { readonly pid: number; stop(): void } {
  const child = spawn(process.execPath, ["-e", "setInterval(() => undefined, 1e6)"], {
    stdio: "ignore",
  });
  return { pid: child.pid ?? 0, stop: () => void child.kill("SIGKILL") };
}
