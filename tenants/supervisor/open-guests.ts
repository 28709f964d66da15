/**
 * Offers the house its guests: keeps one warm zygote per key (or, for single-use kinds, spares), gives each
 * attempt a child, and ends what is idle. A GuestKey is the isolation boundary: nothing is shared across keys.
 */
import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import type { GuestKind } from "../../platform/model/dag-spec.ts";
import type {
  AttemptHost,
  AttemptOutcome,
  AttemptStart,
  GuestKey,
  Guests,
  ParsedFile,
  ParseHost,
  ParseRequest,
} from "../../platform/model/guest.ts";
import type { Sandbox } from "../sandbox/open-sandbox.ts";
import { conductAttempt } from "./conduct-attempt.ts";
import { nothing, parseFile } from "./parse-file.ts";
import { type GuestProgram, placeProgram } from "./place-program.ts";
import { type Child, GuestOver, startWarmGuest, type WarmGuest } from "./warm-guest.ts";

export type GuestsOptions = {
  readonly sandbox: Sandbox;
  /** Absolute folder of the house for work folders and artifacts; tenants' uids must be able to reach it (0711 is enough). */
  readonly stateDir: string;
  /** Our guest programs: absolute folder and the file in it that the interpreter runs. A kind without one answers with a failure. */
  readonly programs: { readonly [kind in GuestKind]?: GuestProgram };
  /** An idle guest ends after this many seconds (default 60). */
  readonly idleSeconds?: number;
  /** Warm guests together should stay below this; least recently used end first (default: a quarter of the machine). */
  readonly memoryBudgetBytes?: number;
  /** What the house should log: a guest that would not start, a reused nonce, a limit that was hit. Never secrets. */
  readonly onEvent?: (event: GuestEvent) => void;
};

export type GuestEvent = {
  readonly level: "info" | "warning" | "error";
  readonly tenant: string;
  readonly message: string;
};

export type GuestStats = {
  readonly warm: number;
  readonly running: number;
  readonly parsing: number;
  readonly started: number;
  readonly ended: number;
  readonly residentBytes: number;
};

export type OpenGuests = Guests & {
  /** Is a guest for this key ready to fork right now? Pure look-up, cheap: the executor asks before it claims. */
  warm(key: GuestKey): boolean;
  /** Starts a guest for this key in the background (after a deploy, at a claim), with the packages that its files import. */
  prepare(key: GuestKey, packages?: readonly string[]): void;
  stats(): GuestStats;
  /** Ends every guest; running attempts answer `stopped`. Resolves when nothing is left running. */
  close(): Promise<void>;
};

/** A guest that dies while an attempt waits for it may be bad luck; the second one is said. */
const startsMax = 2;
const parsesMax = Math.max(2, Math.min(4, availableParallelism()));
/** After a parse of a commit nothing asks its parse guest again but a late second request. */
const parseIdleSeconds = 5;

type Purpose = "task" | "parse";
type Pool = {
  readonly key: GuestKey;
  readonly purpose: Purpose;
  readonly dagsFolder: string;
  /** Those that may still give a child. */
  guests: WarmGuest[];
  /** Who waits for a child just now. */
  waiting: number;
};

export function openGuests(options: GuestsOptions): OpenGuests {
  const { sandbox, stateDir } = options;
  const idleMs = (options.idleSeconds ?? 60) * 1000;
  const budget = options.memoryBudgetBytes ?? Math.floor(totalmem() / 4);
  const placed: { [kind in GuestKind]?: GuestProgram } = {};
  const pools = new Map<string, Pool>();
  const packagesOf = new Map<string, ReadonlySet<string>>();
  const foldersOf = new Map<string, string>();
  const all = new Set<WarmGuest>();
  const settling = new Set<Promise<void>>();
  const closing = new AbortController();
  const counts = { running: 0, parsing: 0, started: 0, ended: 0 };
  const work = join(stateDir, "work");
  const copyDir = join(stateDir, "artifacts");
  for (const folder of [stateDir, work]) {
    mkdirSync(folder, { recursive: true });
  }
  chmodSync(work, sandbox.root ? 0o711 : 0o700);
  mkdirSync(copyDir, { recursive: true, mode: 0o700 });
  const sweeper = setInterval(endIdle, 1000);
  sweeper.unref();

  return {
    run,
    parse,
    warm: (key) => pools.get(nameOf(key, "task"))?.guests.some((guest) => guest.isWarm()) ?? false,
    prepare: (key, packages) => {
      if (closing.signal.aborted) return;
      if (packages !== undefined) remember(key, packages);
      const pool = poolOf(key, "task");
      if (!pool.guests.some((guest) => !guest.isOver())) open(pool);
    },
    stats: () => {
      return {
        ...counts,
        warm: [...all].filter((guest) => guest.isWarm()).length,
        residentBytes: residentBytes(),
      };
    },
    close: async () => {
      closing.abort(new Error("The worker is shutting down."));
      clearInterval(sweeper);
      await Promise.all(settling);
      await Promise.all([...all].map((guest) => guest.end()));
    },
  };

  function residentBytes(): number {
    return [...all].reduce((sum, guest) => sum + guest.residentBytes(), 0);
  }

  async function run(
    key: GuestKey,
    start: AttemptStart,
    host: AttemptHost,
    signal: AbortSignal,
  ): Promise<AttemptOutcome> {
    const begunAt = performance.now();
    const either = AbortSignal.any([signal, closing.signal]);
    let child: Child;
    counts.running += 1;
    try {
      child = await childFor(poolOf(key, "task"), either);
    } catch (error) {
      counts.running -= 1;
      return couldNotStart(error, either, performance.now() - begunAt);
    }
    const conducted = conductAttempt({
      key,
      start,
      host,
      signal: either,
      child,
      begunAt,
      uid: sandbox.root ? key.uid : undefined,
      copyDir,
    });
    const settled = conducted.settled.finally(() => {
      counts.running -= 1;
      settling.delete(settled);
    });
    settling.add(settled);
    return conducted.outcome;
  }

  async function* parse(
    request: ParseRequest,
    host: ParseHost,
    signal: AbortSignal,
  ): AsyncGenerator<ParsedFile> {
    const { key } = request;
    foldersOf.set(bundleOf(key), request.dagsFolder);
    const pool = poolOf(key, "parse", request.dagsFolder);
    const either = AbortSignal.any([signal, closing.signal]);
    const packages = new Set<string>();
    const todo = [...request.files];
    const done: ParsedFile[] = [];
    let wake = (): void => undefined;
    let working = 0;
    const parseNext = async (): Promise<void> => {
      for (let file = todo.shift(); file !== undefined; file = todo.shift()) {
        const parsed = await parseOne(pool, request, file, host, either);
        for (const name of parsed.packages) packages.add(name);
        done.push(parsed);
        wake();
      }
    };
    counts.parsing += 1;
    const workers = Array.from({ length: Math.min(parsesMax, todo.length) }, async () => {
      working += 1;
      try {
        await parseNext();
      } finally {
        working -= 1;
        wake();
      }
    });
    try {
      while (working > 0 || done.length > 0) {
        const next = done.shift();
        if (next !== undefined) {
          yield next;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      await Promise.all(workers);
      remember(key, [...packages]);
    } finally {
      counts.parsing -= 1;
      // Who stops reading in the middle stops the parse.
      todo.length = 0;
    }
  }

  async function parseOne(
    pool: Pool,
    request: ParseRequest,
    file: string,
    host: ParseHost,
    signal: AbortSignal,
  ): Promise<ParsedFile> {
    const begunAt = performance.now();
    try {
      const child = await childFor(pool, signal);
      return await parseFile({ child, request, file, host, signal, begunAt });
    } catch (error) {
      return {
        ...nothing(file, begunAt),
        errors: [
          {
            message: `The ${request.key.kind} guest could not parse it: ${messageOf(error)}`,
            hint: "This is about the platform or the environment rather than the file: see `airlock doctor`.",
          },
        ],
      };
    }
  }

  /** A child of the warm guest, or of the one that is started for it. */
  async function childFor(pool: Pool, signal: AbortSignal): Promise<Child> {
    pool.waiting += 1;
    try {
      return await takeChild(pool, signal);
    } finally {
      pool.waiting -= 1;
    }
  }

  async function takeChild(pool: Pool, signal: AbortSignal): Promise<Child> {
    const single = pool.key.kind === "node";
    for (let starts = 0, failures = 0; ; ) {
      signal.throwIfAborted();
      pool.guests = pool.guests.filter((guest) => !guest.isOver());
      let guest = single
        ? (pool.guests.find((spare) => spare.isWarm()) ?? pool.guests[0])
        : pool.guests[0];
      if (guest === undefined) {
        starts += 1;
        guest = open(pool);
      }
      if (single) {
        // Nobody else may take it; the next spare is started while this one works.
        pool.guests = pool.guests.filter((other) => other !== guest);
        if (pool.guests.length === 0 && pool.purpose === "task") setImmediate(spare, pool);
      }
      try {
        return await unlessAborted(guest.take(), signal);
      } catch (error) {
        failures += 1;
        // A guest whose children never come to us is not over: it must not be asked for ever either.
        if (starts >= startsMax || failures > startsMax) throw error;
        if (signal.aborted || !(error instanceof GuestOver)) throw error;
      }
    }
  }

  function programOf(kind: GuestKind): GuestProgram | undefined {
    const given = options.programs[kind];
    if (given === undefined) return undefined;
    placed[kind] ??= placeProgram(join(stateDir, "programs"), kind, given);
    return placed[kind];
  }

  function spare(pool: Pool): void {
    if (!closing.signal.aborted && pool.guests.length === 0) open(pool);
  }

  function open(pool: Pool): WarmGuest {
    const { key, purpose } = pool;
    const program = programOf(key.kind);
    if (program === undefined) throw new Error(`there is no ${key.kind} guest on this machine`);
    counts.started += 1;
    const id = `g${String(counts.started)}`;
    const guest = startWarmGuest({
      sandbox,
      key,
      purpose,
      program,
      dagsFolder: pool.dagsFolder,
      packages: purpose === "task" ? [...(packagesOf.get(bundleOf(key)) ?? [])] : [],
      workDir: join(work, `${String(process.pid)}-${id}`),
      id,
      onProblem: (message) => options.onEvent?.({ level: "warning", tenant: key.tenant, message }),
    });
    pool.guests.push(guest);
    all.add(guest);
    void guest.ended.then(() => {
      counts.ended += 1;
      all.delete(guest);
      pool.guests = pool.guests.filter((other) => other !== guest);
      dropIfEmpty(pool);
    });
    return guest;
  }

  function poolOf(key: GuestKey, purpose: Purpose, dagsFolder?: string): Pool {
    const name = nameOf(key, purpose);
    const known = pools.get(name);
    if (known !== undefined) return known;
    const pool: Pool = {
      key,
      purpose,
      dagsFolder:
        dagsFolder ?? key.dagsFolder ?? foldersOf.get(bundleOf(key)) ?? guessDagsFolder(key),
      guests: [],
      waiting: 0,
    };
    pools.set(name, pool);
    return pool;
  }

  function dropIfEmpty(pool: Pool): void {
    if (pool.guests.length > 0 || pool.waiting > 0) return;
    const name = nameOf(pool.key, pool.purpose);
    if (pools.get(name) === pool) pools.delete(name);
  }

  function remember(key: GuestKey, packages: readonly string[]): void {
    packagesOf.set(bundleOf(key), new Set(packages));
    // One entry per commit: only the latest are worth keeping.
    for (const map of [packagesOf, foldersOf])
      for (const name of map.keys()) {
        if (map.size <= 10_000) break;
        map.delete(name);
      }
  }

  function endIdle(): void {
    const now = performance.now();
    const idle: WarmGuest[] = [];
    for (const pool of pools.values()) {
      // One that is still on its way up is not idle while somebody waits for it, however slow the machine is.
      if (pool.waiting > 0) continue;
      const limitMs = pool.purpose === "parse" ? Math.min(idleMs, parseIdleSeconds * 1000) : idleMs;
      for (const guest of pool.guests) {
        if (guest.live > 0 || guest.isOver()) continue;
        if (now - guest.idleSince >= limitMs) guest.retire();
        else if (guest.isWarm()) idle.push(guest);
      }
      if (pool.guests.length === 0) dropIfEmpty(pool);
    }
    if (idle.length < 2) return;
    let resident = residentBytes();
    idle.sort((a, b) => a.idleSince - b.idleSince);
    for (const guest of idle) {
      if (resident <= budget) return;
      resident -= guest.residentBytes();
      guest.retire();
    }
  }
}

function couldNotStart(error: unknown, signal: AbortSignal, wallMs: number): AttemptOutcome {
  const usage = { cpu_s: 0, peak_memory_bytes: 0, start_ms: wallMs, wall_ms: wallMs };
  if (signal.aborted) return { kind: "stopped", reason: messageOf(signal.reason), usage };
  return {
    kind: "failed",
    retryable: true,
    reason: `The task's guest did not start: ${messageOf(error)}`.slice(0, 4000),
    usage,
  };
}

/** A child that comes after we gave up waiting is ended at once. */
async function unlessAborted(taken: Promise<Child>, signal: AbortSignal): Promise<Child> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([taken, aborted]);
  } catch (error) {
    if (signal.aborted)
      void taken.then(
        async (child) => {
          child.kill();
          await child.exited;
          await child.release();
        },
        () => undefined,
      );
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** All of the key: a guest is shared only where every part is equal. */
const nameOf = (key: GuestKey, purpose: Purpose): string => {
  const known = names.get(key);
  const name =
    known ??
    JSON.stringify([
      key.tenant,
      key.uid,
      key.kind,
      key.repository,
      key.commit,
      key.bundleDir,
      key.dagsFolder ?? null,
      key.environment.hash,
      key.environment.dir ?? null,
      key.environment.interpreter,
      key.level,
      key.grants,
      key.egress.map(({ host, port }) => [host, port]),
      Object.entries(key.limits).sort(([a], [b]) => (a < b ? -1 : 1)),
    ]);
  if (known === undefined) names.set(key, name);
  return `${purpose} ${name}`;
};
const names = new WeakMap<GuestKey, string>();

const bundleOf = (key: GuestKey): string =>
  `${key.tenant} ${key.repository} ${key.commit} ${key.environment.hash} ${key.kind}`;

const guessDagsFolder = (key: GuestKey): string =>
  existsSync(join(key.bundleDir, "dags")) ? "dags" : "";

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
