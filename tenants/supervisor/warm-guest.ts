/**
 * One guest program in its sandbox: started once, asked to fork per attempt (or, single use, to become the
 * attempt). Its children come to a socket of this guest alone and prove with a nonce whose they are. One child
 * is always forked ahead, so that an attempt begins with a single frame.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
} from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { basename, dirname, join } from "node:path";
import type { GuestKey } from "../../platform/model/guest.ts";
import { isObject } from "../../platform/model/json.ts";
import type { Group } from "../sandbox/cgroups.ts";
import type { Bind, Boxed, Exit } from "../sandbox/launch.ts";
import { type Sandbox, signalName } from "../sandbox/open-sandbox.ts";
import { childOf, childrenOf, innermostPid, usageOf } from "../sandbox/pids.ts";
import { plain } from "../sandbox/plain-text.ts";
import { FrameCutter, frameOf } from "./frames.ts";
import { decode } from "./msgpack.ts";
import { removeFolder } from "./remove-folder.ts";

type Role = "comms" | "stdout" | "stderr";
const roles: readonly string[] = ["comms", "stdout", "stderr"];

const nonceLifeMs = 5000;
const readyWithinMs = 60_000;
const nodeReserves = 768 << 20;
const outputWithinMs = 250;
const lastWordsMs = 3000;
const helloBytesMax = 256;
const controlFrameBytesMax = 64 * 1024;
/** Forks happen one after the other anyway; more at once would only run into the guest's own limits. */
const forksMax = 8;
const unnamedMax = 64;

/** A process of the author's, connected, waiting for its first frame. */
export type Child = {
  readonly nonce: string;
  readonly workDir: string;
  readonly comms: Socket;
  /** Resolves with the socket of its output, or undefined if the child is gone before it came. */
  output(role: "stdout" | "stderr"): Promise<Socket | undefined>;
  /** The bundle as the child sees it. */
  readonly bundle: string;
  /** undefined where it could not be found: then nothing limits or counts it alone. */
  readonly hostPid: number | undefined;
  readonly group: Group | undefined;
  readonly exited: Promise<ChildExit>;
  /** SIGTERM for all of it. */
  terminate(): void;
  /** SIGKILL for all of it, whatever it did to hide. */
  kill(): void;
  usage(): { readonly cpu_s: number; readonly peak_memory_bytes: number };
  /** Ends what is left of it, then frees its folder and group. Call once, after `exited`. `words`: what it wrote before its end still comes. */
  release(words?: "still wanted"): Promise<void>;
};

export type ChildExit = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly cpu_s?: number;
  readonly max_rss_bytes?: number;
};

export type WarmGuest = {
  readonly ready: Promise<void>;
  /** Ready, and able to give a child at once. */
  isWarm(): boolean;
  isOver(): boolean;
  /** Children given out and not yet released. */
  readonly live: number;
  /** When it last had work, performance.now(). */
  readonly idleSince: number;
  take(): Promise<Child>;
  residentBytes(): number;
  /** No more forks; ends when its children are gone, at the latest when killed. */
  retire(): void;
  /** Ends everything in it now. */
  end(): Promise<void>;
  readonly ended: Promise<void>;
};

export type WarmGuestOptions = {
  readonly sandbox: Sandbox;
  readonly key: GuestKey;
  readonly purpose: "task" | "parse";
  readonly program: { readonly dir: string; readonly entry: string };
  readonly dagsFolder: string;
  readonly packages: readonly string[];
  /** Folder of this guest alone for its children's files; made here. */
  readonly workDir: string;
  readonly id: string;
  readonly onProblem: (message: string) => void;
};

type Expected = {
  readonly nonce: string;
  readonly workDir: string;
  readonly since: number;
  readonly seen: Set<Role>;
  readonly sockets: Map<Role, Socket>;
  readonly waiting: Map<Role, readonly ((socket: Socket | undefined) => void)[]>;
  taken?: boolean;
  pid?: number;
  onPid?: () => void;
  exit?: ChildExit;
  onExit: (exit: ChildExit) => void;
  readonly exited: Promise<ChildExit>;
};

export function startWarmGuest(options: WarmGuestOptions): WarmGuest {
  const { sandbox, key, onProblem } = options;
  const single = key.kind === "node";
  const socketDir = join(sandbox.runDir, options.id);
  const socketPath = join(socketDir, "guest.sock");
  const place = placeOf(options, socketDir);
  const children = new Map<string, Expected>();
  const freeGroups: Group[] = [];
  /** Folders that an attempt left as it was given them: making and removing one costs more than all else of ours. */
  const freeDirs: string[] = [];
  const group = sandbox.groups?.make(options.id);
  const guestGroup = group?.make("guest", {
    ...key.limits,
    // A zygote's children begin in its own group; a single-use guest is the attempt.
    processes: key.limits.processes + (single ? 0 : 64),
  });
  let groupsMade = 0;
  let boxed: Boxed | undefined;
  let zygote: number | undefined;
  let state: "starting" | "ready" | "retiring" | "over" = "starting";
  let live = 0;
  let onNoneLive: (() => void) | undefined;
  let used = false;
  let idleSince = performance.now();
  let parked: Promise<Child> | undefined;
  let parkedReady = false;
  let unnamed = 0;
  let diagnostics = "";
  let forking = 0;
  const waitingToFork: (() => void)[] = [];

  const server = openSocket();
  const [whenEnded, ended] = deferred<void>();
  const [whenReady, ready] = deferred<void>();
  ready.catch(() => undefined);
  const begun = start();
  begun.catch((error: unknown) => fail(error instanceof Error ? error : new Error(String(error))));

  return {
    ready,
    ended,
    isWarm: () => state === "ready" && (single ? parkedReady : true),
    isOver: () => state === "over" || state === "retiring",
    get live() {
      return live;
    },
    get idleSince() {
      return idleSince;
    },
    take,
    residentBytes: () => {
      const groups = guestGroup?.usage().current_memory_bytes;
      if (groups !== undefined) return groups;
      return (boxed?.hostPids() ?? []).reduce(
        (sum, pid) => sum + (usageOf(pid)?.peak_memory_bytes ?? 0),
        0,
      );
    },
    retire,
    end: async () => {
      over("the guest was ended");
      await ended;
    },
  };

  async function start(): Promise<void> {
    await listening(server, socketPath);
    if (sandbox.root) chownSync(socketPath, 0, key.uid);
    chmodSync(socketPath, sandbox.root ? 0o660 : 0o600);
    makeWorkDir(options.workDir, sandbox.root, key.uid);
    boxed = await sandbox.launch({
      // Whose guest it is says whoever tells the problem.
      name: "it",
      uid: key.uid,
      command: commandOf(options, place),
      binds: place.binds,
      cwd: place.work,
      env: {
        PATH: [
          ...(key.environment.dir === undefined ? [] : [join(key.environment.dir, "bin")]),
          "/usr/local/bin:/usr/bin:/bin",
        ].join(":"),
        HOME: sandbox.binds ? "/tmp" : place.work,
        LANG: "C.UTF-8",
        PYTHONDONTWRITEBYTECODE: "1",
      },
      egress: key.egress,
      limits: {
        ...key.limits,
        // V8 alone reserves this much; where the memory group is missing it would count against the task.
        memoryBytes:
          key.limits.memoryBytes + (single && guestGroup === undefined ? nodeReserves : 0),
      },
      ...(guestGroup === undefined ? {} : { group: guestGroup }),
      first: !single,
    });
    if (state === "over") {
      boxed.kill();
      return;
    }
    listen(boxed);
    send({ type: "preload", packages: options.packages });
    const timer = setTimeout(
      () => fail(new Error(`it did not become ready within ${String(readyWithinMs / 1000)} s`)),
      readyWithinMs,
    );
    await ready.finally(() => clearTimeout(timer));
    // A child ahead: for a zygote as well as for a single-use guest it is what makes it warm.
    park();
  }

  function listen(box: Boxed): void {
    const cutter = new FrameCutter(controlFrameBytesMax);
    box.stdout.on("data", (chunk: Buffer) => {
      try {
        cutter.push(chunk);
        for (let frame = cutter.take(); frame !== undefined; frame = cutter.take())
          onControl(frame);
      } catch (error) {
        fail(new Error(`it sent a frame that cannot be read: ${(error as Error).message}`));
      }
    });
    box.stderr.on("data", (chunk: Buffer) => {
      diagnostics = (diagnostics + chunk.toString("utf8")).slice(-4000);
    });
    void box.exited.then(onExit);
  }

  function onControl(frame: unknown): void {
    if (!isObject(frame)) throw new Error("a control frame is no map");
    if (frame["type"] === "ready") {
      if (state !== "starting") return;
      const pid = Number(frame["pid"]);
      zygote = boxed?.hostPid(pid);
      state = "ready";
      idleSince = performance.now();
      whenReady.resolve();
    } else if (frame["type"] === "forked") {
      const child = children.get(String(frame["nonce"]));
      if (child === undefined || child.pid !== undefined) return;
      child.pid = Number(frame["pid"]);
      child.onPid?.();
    } else if (frame["type"] === "exited") {
      const child = children.get(String(frame["nonce"]));
      if (child !== undefined) childGone(child, readExit(frame));
    }
  }

  async function take(): Promise<Child> {
    await ready;
    for (;;) {
      const ahead = parked;
      parked = undefined;
      parkedReady = false;
      if (ahead === undefined && single && used) throw new GuestOver("a single-use guest was used");
      used = true;
      const child = await (ahead ?? fork());
      const expected = children.get(child.nonce);
      if (expected === undefined || child.comms.destroyed) {
        // It was killed while it waited.
        await child.release();
        if (single || state !== "ready") throw new GuestOver("the guest is over");
        continue;
      }
      expected.taken = true;
      live += 1;
      idleSince = performance.now();
      if (!single && state === "ready") setImmediate(park);
      return child;
    }
  }

  function park(): void {
    // A single-use guest that somebody waited for is that attempt: it is never asked twice.
    if (state !== "ready" || parked !== undefined || (single && used)) return;
    const next = fork();
    parked = next;
    next.then(
      () => {
        if (parked === next) parkedReady = true;
      },
      () => {
        if (parked === next) parked = undefined;
      },
    );
  }

  async function fork(): Promise<Child> {
    if (forking >= forksMax) await new Promise<void>((resolve) => waitingToFork.push(resolve));
    else forking += 1;
    try {
      return await forkNow();
    } finally {
      // The place goes to the next in line, or is given back.
      const next = waitingToFork.shift();
      if (next === undefined) forking -= 1;
      else next();
    }
  }

  async function forkNow(): Promise<Child> {
    if (state !== "ready") throw new GuestOver(`the guest is over: ${lastWords()}`);
    const nonce = randomBytes(16).toString("hex");
    const workDir = freeDirs.pop() ?? join(options.workDir, nonce);
    if (!existsSync(workDir)) makeAttemptDir(workDir, sandbox.root ? key.uid : undefined);
    const [whenGone, exited] = deferred<ChildExit>();
    const child: Expected = {
      nonce,
      workDir,
      since: performance.now(),
      seen: new Set(),
      sockets: new Map(),
      waiting: new Map(),
      onExit: whenGone.resolve,
      exited,
    };
    children.set(nonce, child);
    const inside = `${place.work}/${basename(workDir)}`;
    const artifacts = `${inside}/artifacts`;
    send({ type: "fork", nonce, cwd: inside, env: { AIRLOCK_ARTIFACTS: artifacts } });
    try {
      const comms = await within(
        nonceLifeMs,
        Promise.all([socketOf(child, "comms"), pidOf(child)]).then(([socket]) => socket),
      );
      if (comms === undefined) throw new GuestOver(`a child did not connect: ${lastWords()}`);
      // Its output is connected before it begins: a child that is gone in a millisecond would take its words along.
      await within(
        outputWithinMs,
        Promise.all([socketOf(child, "stdout"), socketOf(child, "stderr")]),
      );
      // Before its first frame, so before any of the author's code: what it forks later is in the group as well.
      return await adopt(child, comms);
    } catch (error) {
      children.delete(nonce);
      for (const socket of child.sockets.values()) socket.destroy();
      removeFolder(workDir);
      throw error;
    }
  }

  async function adopt(child: Expected, comms: Socket): Promise<Child> {
    const hostPid = findPid(child);
    let own: Group | undefined;
    if (single) own = guestGroup;
    else if (hostPid !== undefined && group !== undefined) {
      own = freeGroups.pop() ?? group.make(`a${String(++groupsMade)}`, key.limits);
      try {
        await own.move(hostPid);
        own.reset();
      } catch (error) {
        // It died meanwhile: its socket says so as well. Anything else: nothing of an author's runs without its limits.
        if ((error as NodeJS.ErrnoException).code !== "ESRCH" && child.exit === undefined) {
          signalAll([hostPid], "SIGKILL", false);
          await own.remove();
          throw new Error(`its limits could not be set: ${(error as Error).message}`);
        }
      }
    }
    let released = false;
    const everyone = (): readonly number[] =>
      own !== undefined
        ? own.pids()
        : single
          ? (boxed?.hostPids() ?? [])
          : hostPid === undefined
            ? []
            : [hostPid];
    let lastUsage: { cpu_s: number; peak_memory_bytes: number } | undefined;
    return {
      nonce: child.nonce,
      workDir: child.workDir,
      bundle: place.bundle,
      comms,
      hostPid,
      group: own,
      exited: child.exited,
      output: (role) => socketOf(child, role),
      terminate: () => {
        signalAll(everyone(), "SIGTERM", own === undefined);
      },
      kill: () => {
        if (single) boxed?.kill();
        else if (own?.kill() !== true) signalAll(everyone(), "SIGKILL", own === undefined);
      },
      usage: () => {
        const counted = own?.usage();
        if (counted?.cpu_s === undefined || counted.peak_memory_bytes === undefined)
          lastUsage = (hostPid === undefined ? undefined : usageOf(hostPid)) ?? lastUsage;
        return {
          cpu_s: counted?.cpu_s ?? child.exit?.cpu_s ?? lastUsage?.cpu_s ?? 0,
          peak_memory_bytes:
            counted?.peak_memory_bytes ??
            child.exit?.max_rss_bytes ??
            lastUsage?.peak_memory_bytes ??
            0,
        };
      },
      release: async (words) => {
        if (released) return;
        released = true;
        children.delete(child.nonce);
        if (live > 0) live -= 1;
        if (live === 0) onNoneLive?.();
        idleSince = performance.now();
        hangUp(child, words === undefined ? 0 : lastWordsMs);
        if (single) {
          over("the single-use guest is done");
          await ended;
          return;
        }
        if (own !== undefined) {
          if (own.pids().length > 0) {
            own.kill();
            await emptied(own);
          }
          const isEmpty = own.pids().length === 0;
          if (isEmpty && state === "ready") freeGroups.push(own);
          else await own.remove();
          if (isEmpty && isAsGiven(child.workDir, sandbox.root ? key.uid : undefined)) {
            freeDirs.push(child.workDir);
            endIfDone();
            return;
          }
        } else await endOrphans();
        removeFolder(child.workDir);
        endIfDone();
      },
    };
  }

  /** The child's pid as the host sees it: a child of this zygote, in this guest's pid namespace, under the pid it was given. */
  function findPid(child: Expected): number | undefined {
    if (child.pid === undefined) return undefined;
    if (single) return boxed?.hostPid(child.pid);
    return zygote === undefined ? undefined : childOf(zygote, child.pid);
  }

  /** Without control groups: what an attempt left behind was adopted by the zygote, the first process of its namespace. */
  async function endOrphans(): Promise<void> {
    // Killing one may bring up its children: again until none is left.
    for (let round = 0; round < 20; round++) {
      if (zygote === undefined || forking > 0) return;
      const known = new Set([...children.values()].map((child) => child.pid));
      const orphans = childrenOf(zygote).filter((host) => {
        const pid = innermostPid(host);
        return pid !== undefined && !known.has(pid);
      });
      if (orphans.length === 0) return;
      signalAll(orphans, "SIGKILL", true);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  function socketOf(child: Expected, role: Role): Promise<Socket | undefined> {
    const here = child.sockets.get(role);
    if (here !== undefined || child.exit !== undefined) return Promise.resolve(here);
    return new Promise((resolve) =>
      child.waiting.set(role, [...(child.waiting.get(role) ?? []), resolve]),
    );
  }

  function pidOf(child: Expected): Promise<void> {
    if (child.pid !== undefined || child.exit !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      child.onPid = resolve;
    });
  }

  function childGone(child: Expected, exit: ChildExit): void {
    if (child.exit !== undefined) return;
    child.exit = exit;
    child.onPid?.();
    // Its connections may still be on the way from the kernel; who has not come by then will not come.
    setTimeout(() => {
      for (const [role, hearers] of child.waiting)
        for (const hear of hearers) hear(child.sockets.get(role));
      child.waiting.clear();
    }, 50);
    child.onExit(exit);
  }

  /**
   * Its sockets end by themselves when its last process is gone: what is in the kernel by then is read first. A
   * process's end may be noticed before its last frame: of all that ended during one round of the event loop.
   */
  function hangUp(child: Expected, withinMs: number): void {
    for (const socket of child.sockets.values()) {
      if (withinMs === 0) socket.destroy();
      else if (!socket.destroyed) {
        const timer = setTimeout(() => socket.destroy(), withinMs);
        socket.once("close", () => clearTimeout(timer));
      }
    }
  }

  function openSocket(): Server {
    mkdirSync(socketDir, { recursive: true });
    if (sandbox.root) chownSync(socketDir, 0, key.uid);
    chmodSync(socketDir, sandbox.root ? 0o750 : 0o700);
    const listener = createServer({ pauseOnConnect: true }, onConnection);
    listener.on("error", (error) => fail(error));
    return listener;
  }

  function onConnection(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (unnamed >= unnamedMax) {
      socket.destroy();
      return;
    }
    unnamed += 1;
    const timer = setTimeout(() => socket.destroy(), nonceLifeMs);
    let named = false;
    const done = (): void => {
      if (named) return;
      named = true;
      unnamed -= 1;
      clearTimeout(timer);
      socket.off("readable", read);
    };
    socket.once("close", done);
    let length: number | undefined;
    const read = (): void => {
      if (length === undefined) {
        const head = socket.read(4) as Buffer | null;
        if (head === null || head.length < 4) return;
        length = head.readUInt32BE(0);
        if (length > helloBytesMax) {
          socket.destroy();
          return;
        }
      }
      const body = socket.read(length) as Buffer | null;
      if (body === null || body.length < length) return;
      done();
      greet(socket, body);
    };
    socket.on("readable", read);
    read();
  }

  function greet(socket: Socket, bytes: Buffer): void {
    let hello: unknown;
    try {
      hello = (decode(bytes) as unknown[])[1];
    } catch {
      socket.destroy();
      return;
    }
    const nonce = isObject(hello) ? hello["nonce"] : undefined;
    const role = isObject(hello) ? hello["role"] : undefined;
    const child = typeof nonce === "string" ? children.get(nonce) : undefined;
    if (child === undefined || typeof role !== "string" || !roles.includes(role)) {
      socket.destroy();
      return;
    }
    if (child.seen.has(role as Role)) {
      socket.destroy();
      fail(
        new Error(
          "a nonce was used a second time: somebody in this guest pretends to be another attempt",
        ),
      );
      return;
    }
    if (performance.now() - child.since > nonceLifeMs) {
      socket.destroy();
      return;
    }
    child.seen.add(role as Role);
    child.sockets.set(role as Role, socket);
    const hearers = child.waiting.get(role as Role) ?? [];
    child.waiting.delete(role as Role);
    for (const hear of hearers) hear(socket);
  }

  function onExit(exit: Exit): void {
    over(
      exit.signal === null
        ? `it exited with ${String(exit.code)}`
        : `it was ended by ${exit.signal}`,
    );
    for (const child of children.values()) childGone(child, { ...exit });
  }

  function fail(error: Error): void {
    if (state === "over") return;
    onProblem(
      `The ${key.kind} guest of ${key.tenant}: ${plain(error.message)}. ${lastWords()}`.trim(),
    );
    over(error.message);
  }

  function over(why: string): void {
    if (state === "over") return;
    const before = state;
    state = "over";
    if (before === "starting") whenReady.reject(new GuestOver(`${why}. ${lastWords()}`.trim()));
    void (async () => {
      // Still on its way up: a server that is closed before it listens never says so.
      if (boxed === undefined) await begun.catch(() => undefined);
      server.close();
      boxed?.kill();
      group?.kill();
      await boxed?.exited;
      for (const child of children.values()) {
        childGone(child, { code: null, signal: "SIGKILL" });
        // One that was only kept ready has nothing to say.
        hangUp(child, child.taken ? lastWordsMs : 0);
      }
      await group?.remove();
      rmSync(socketDir, { recursive: true, force: true });
      // Its process is gone, but what an attempt left in its folder may not be fetched yet: who was given a child says when.
      if (live > 0)
        await new Promise<void>((resolve) => {
          onNoneLive = resolve;
        });
      removeFolder(options.workDir);
      whenEnded.resolve();
    })();
  }

  function retire(): void {
    if (state === "over" || state === "retiring") return;
    if (state === "starting") {
      over("it is no longer needed");
      return;
    }
    state = "retiring";
    endIfDone();
  }

  function endIfDone(): void {
    if (state === "retiring" && live === 0) over("it is no longer needed");
  }

  function send(frame: { readonly [k: string]: unknown }): void {
    boxed?.stdin.write(frameOf(frame));
  }

  function lastWords(): string {
    const words = diagnostics.trim().split("\n").slice(-5).map(plain).join(" | ");
    return words === "" ? "" : `Its last words: ${words}`;
  }
}

/** The guest cannot give a child (any more): another one may. */
export class GuestOver extends Error {}

type Place = {
  readonly binds: readonly Bind[];
  readonly program: string;
  readonly bundle: string;
  readonly socket: string;
  readonly work: string;
};

/** Where everything is inside; where nothing can be bound, that is where it is outside. */
function placeOf(options: WarmGuestOptions, socketDir: string): Place {
  const { sandbox, key, program, workDir } = options;
  if (!sandbox.binds)
    return {
      binds: [],
      program: program.dir,
      bundle: key.bundleDir,
      socket: join(socketDir, "guest.sock"),
      work: workDir,
    };
  const read = (from: string, to: string): Bind => ({ from, to, access: "read" });
  const own = ownPaths(key);
  // A home of the house below one of our own folders' names would be hidden by them.
  const base = own.some((path) => /^\/(?:work|bundle|run)\//.test(path)) ? "/airlock" : "";
  return {
    binds: [
      ...own.map((path) => read(path, path)),
      ...(key.kind === "node" ? [read(realpathSync(key.environment.interpreter), nodeInside)] : []),
      read(program.dir, "/airlock/guest"),
      read(key.bundleDir, `${base}/bundle`),
      read(socketDir, `${base}/run/airlock`),
      { from: workDir, to: `${base}/work`, access: "write" },
    ],
    program: "/airlock/guest",
    bundle: `${base}/bundle`,
    socket: `${base}/run/airlock/guest.sock`,
    work: `${base}/work`,
  };
}

const nodeInside = "/airlock/node";

/** What must lie at its own absolute path: a virtual environment names itself, a Python finds its library beside it. */
function ownPaths(key: GuestKey): readonly string[] {
  const { dir, interpreter } = key.environment;
  const real = realpathSync(interpreter);
  return [
    ...(key.kind === "node" || real.startsWith("/usr/") ? [] : [dirname(dirname(real))]),
    ...(dir === undefined || !existsSync(dir) ? [] : [dir]),
  ];
}

function commandOf(options: WarmGuestOptions, at: Place): readonly string[] {
  const { sandbox, key, program, purpose, dagsFolder } = options;
  const heapMb = Math.max(64, Math.floor((key.limits.memoryBytes * 0.75) / (1 << 20)));
  return [
    key.kind === "node" && sandbox.binds ? nodeInside : key.environment.interpreter,
    ...(key.kind === "node"
      ? [`--max-old-space-size=${String(heapMb)}`, "--disable-warning=ExperimentalWarning"]
      : []),
    join(at.program, program.entry),
    "--socket",
    at.socket,
    "--bundle",
    at.bundle,
    "--dags-folder",
    dagsFolder,
    "--work",
    at.work,
    "--kind",
    purpose,
    ...(key.kind === "node" && key.environment.dir !== undefined
      ? ["--environment", key.environment.dir]
      : []),
  ];
}

/** The folder of all attempts is the house's: a tenant that could write here could plant a link where the next one goes. */
function makeWorkDir(path: string, root: boolean, uid: number): void {
  mkdirSync(path, { recursive: true });
  if (root) chownSync(path, 0, uid);
  chmodSync(path, root ? 0o750 : 0o700);
}

/** Given to the tenant last, when nothing is left to do in it. */
function makeAttemptDir(path: string, uid: number | undefined): void {
  const artifacts = join(path, "artifacts");
  mkdirSync(path, { mode: 0o700 });
  mkdirSync(artifacts, { mode: 0o700 });
  if (uid === undefined) return;
  lchownSync(artifacts, uid, uid);
  lchownSync(path, uid, uid);
}

/** Nothing in it, nothing changed about it, and nobody left who was in it: as good as a new one. */
function isAsGiven(path: string, uid: number | undefined): boolean {
  const artifacts = join(path, "artifacts");
  try {
    for (const folder of [path, artifacts]) {
      const stat = lstatSync(folder);
      if (!stat.isDirectory() || (stat.mode & 0o7777) !== 0o700) return false;
      if (uid !== undefined && (stat.uid !== uid || stat.gid !== uid)) return false;
    }
    return readdirSync(path).length === 1 && readdirSync(artifacts).length === 0;
  } catch {
    return false;
  }
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function readExit(frame: { readonly [k: string]: unknown }): ChildExit {
  const number = (name: string): number | undefined => {
    const raw = frame[name];
    return typeof raw === "number" && Number.isFinite(raw) && raw >= 0 ? raw : undefined;
  };
  const signal = number("signal");
  const cpu = number("cpu_s");
  const rss = number("max_rss_bytes");
  return {
    code: number("exit_code") ?? null,
    signal: signal === undefined || signal === 0 ? null : signalName(signal),
    ...(cpu === undefined ? {} : { cpu_s: cpu }),
    ...(rss === undefined ? {} : { max_rss_bytes: rss }),
  };
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals, groups: boolean): void {
  for (const pid of pids) {
    if (pid <= 1) continue;
    for (const target of groups ? [-pid, pid] : [pid]) {
      try {
        process.kill(target, signal);
      } catch {
        // Gone, or it leads no process group.
      }
    }
  }
}

async function emptied(group: Group): Promise<void> {
  for (let ms = 1; ms < 500 && group.pids().length > 0; ms *= 2)
    await new Promise((resolve) => setTimeout(resolve, ms));
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), limitMs);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

function deferred<T>(): [
  { readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void },
  Promise<T>,
] {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  return [{ resolve, reject }, promise];
}
