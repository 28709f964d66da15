/**
 * Control groups of version 1, version 2 and the hybrid of both. Limits come from whichever tree has the
 * controllers; killing and CPU time come from the version 2 tree, which a hybrid host has as well.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

type GroupLimits = {
  readonly memoryBytes: number;
  readonly cpuPercent: number;
  readonly processes: number;
};

type GroupUsage = {
  /** undefined where this machine cannot count it. */
  readonly cpu_s?: number;
  readonly peak_memory_bytes?: number;
  readonly current_memory_bytes?: number;
};

export type Group = {
  /** A process that writes `0` here is in the group; so are its children from then on. */
  readonly joinFiles: readonly string[];
  /** In the background: the kernel may hold the first of several moves for a grace period of its own, some 10 ms. */
  move(pid: number): Promise<void>;
  pids(): readonly number[];
  /** Whether every process of the group was killed; false where the version 2 tree is missing and they were killed one by one. */
  kill(): boolean;
  usage(): GroupUsage;
  /** How often the kernel ended a process of this group for memory, and refused a fork, since `reset`. */
  hits(): { readonly memory: number; readonly processes: number };
  /** Counts usage and hits anew: groups are used again by later attempts, making one costs more than moving. */
  reset(): void;
  make(name: string, limits?: GroupLimits): Group;
  /** Ends what is inside and removes the folder, in its own time: a dying namespace keeps it busy for some milliseconds. */
  remove(): Promise<void>;
};

export type Groups = {
  readonly enforces: {
    readonly memory: boolean;
    readonly cpu: boolean;
    readonly processes: boolean;
    readonly kill: boolean;
  };
  make(name: string, limits?: GroupLimits): Group;
  close(): Promise<void>;
};

type Controller = "memory" | "cpu" | "pids";
const controllers: readonly Controller[] = ["memory", "cpu", "pids"];

/** Where each thing is on this machine: one folder per controller (v1), or one for all (v2). */
type Trees = {
  readonly v1: { readonly [c in Controller]?: string };
  readonly v2?: string;
  readonly v2Controllers: readonly Controller[];
};

/** Answers undefined where no tree can be written: then nothing is limited, and the driver says so. */
export function openGroups(root = "/sys/fs/cgroup"): Groups | undefined {
  const trees = findTrees(root);
  const folders = [...Object.values(trees.v1), ...(trees.v2 === undefined ? [] : [trees.v2])];
  if (folders.length === 0) return undefined;
  sweepLeftovers(folders);
  const instance = `${String(process.pid)}.${startOf(process.pid) ?? "0"}.${randomBytes(3).toString("hex")}`;
  const own = makeGroup(trees, instance);
  const has = (c: Controller): boolean =>
    trees.v1[c] !== undefined || trees.v2Controllers.includes(c);
  return {
    enforces: {
      memory: has("memory"),
      cpu: has("cpu"),
      processes: has("pids"),
      kill: trees.v2 !== undefined && existsSync(join(trees.v2, instance, "cgroup.kill")),
    },
    make: (name, limits) => own.make(name, limits),
    close: () => own.remove(),
  };
}

function findTrees(root: string): Trees {
  const v1: { [c in Controller]?: string } = {};
  for (const c of controllers) {
    if (!existsSync(join(root, c, "cgroup.procs"))) continue;
    const folder = claim(join(root, c, "airlock"));
    if (folder !== undefined) v1[c] = folder;
  }
  const hybrid = join(root, "unified");
  if (existsSync(join(hybrid, "cgroup.procs"))) {
    const folder = claim(join(hybrid, "airlock"));
    return { v1, v2Controllers: [], ...(folder === undefined ? {} : { v2: folder }) };
  }
  if (!existsSync(join(root, "cgroup.controllers"))) return { v1, v2Controllers: [] };
  return { v1, ...findV2(root) };
}

/** The whole tree as root; for an ordinary user the part that systemd delegated to him, if it did. */
function findV2(root: string): Pick<Trees, "v2" | "v2Controllers"> {
  const own = /^0::(\/.*)$/m.exec(readText("/proc/self/cgroup") ?? "")?.[1] ?? "/";
  for (const base of new Set([root, join(root, own)])) {
    const folder = claim(join(base, "airlock"));
    if (folder === undefined) continue;
    let given = delegate(base);
    if (given.length === 0) {
      // No controllers for children while processes live beside them: the house moves aside.
      const house = claim(join(base, "airlock-house"));
      if (house !== undefined) {
        for (const pid of readNumbers(join(base, "cgroup.procs")))
          tryWrite(join(house, "cgroup.procs"), String(pid));
        given = delegate(base);
      }
    }
    delegate(folder);
    return { v2: folder, v2Controllers: given };
  }
  return { v2Controllers: [] };
}

function delegate(folder: string): readonly Controller[] {
  for (const c of controllers) tryWrite(join(folder, "cgroup.subtree_control"), `+${c}`);
  const given = (readText(join(folder, "cgroup.subtree_control")) ?? "").split(/\s+/);
  return controllers.filter((c) => given.includes(c));
}

/** A folder that we can make groups in: tried, not guessed from modes. */
function claim(folder: string): string | undefined {
  try {
    mkdirSync(folder, { recursive: true });
    const probe = join(folder, `probe-${randomBytes(4).toString("hex")}`);
    mkdirSync(probe);
    rmdirSync(probe);
    return folder;
  } catch {
    return undefined;
  }
}

/** Groups of a house that was killed: its guests may still run in there. */
function sweepLeftovers(folders: readonly string[]): void {
  for (const folder of folders)
    for (const name of readdirSync(folder)) {
      const [pid, start] = name.split(".");
      if (pid === undefined || start === undefined || !/^\d+$/.test(pid)) continue;
      if (startOf(Number(pid)) === start) continue;
      void emptyAndRemove(join(folder, name));
    }
}

function makeGroup(trees: Trees, path: string, limits?: GroupLimits): Group {
  const v1 = Object.fromEntries(
    Object.entries(trees.v1).map(([c, folder]) => [c, join(folder, path)]),
  ) as { readonly [c in Controller]?: string };
  const v2 = trees.v2 === undefined ? undefined : join(trees.v2, path);
  const folders = [...Object.values(v1), ...(v2 === undefined ? [] : [v2])];
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  if (limits !== undefined) {
    limitV1(v1, limits);
    if (v2 !== undefined) limitV2(v2, limits, trees.v2Controllers);
  }
  const joinFiles = folders.map((folder) => join(folder, "cgroup.procs"));
  let base = { cpu_s: 0, memory: 0, processes: 0 };

  const cpuSeconds = (): number | undefined => {
    const usec =
      v2 === undefined
        ? undefined
        : /^usage_usec (\d+)/m.exec(readText(join(v2, "cpu.stat")) ?? "")?.[1];
    return usec === undefined ? undefined : Number(usec) / 1e6;
  };
  const rawHits = (): { memory: number; processes: number } => {
    const oom =
      v1.memory === undefined
        ? v2 && readText(join(v2, "memory.events"))
        : readText(join(v1.memory, "memory.oom_control"));
    const pidsFolder = v1.pids ?? v2;
    const pids = pidsFolder && readText(join(pidsFolder, "pids.events"));
    return {
      memory: Number(/^oom_kill (\d+)/m.exec(oom ?? "")?.[1] ?? 0),
      processes: Number(/^max (\d+)/m.exec(pids ?? "")?.[1] ?? 0),
    };
  };
  const pids = (): readonly number[] =>
    folders[0] === undefined ? [] : readNumbers(join(v2 ?? folders[0], "cgroup.procs"));

  return {
    joinFiles,
    move: async (pid) => {
      // The killing tree first: whatever fails later, the end of the attempt finds the process.
      for (const file of joinFiles.toReversed()) await writeFile(file, String(pid));
    },
    pids,
    kill: () => {
      if (v2 !== undefined && tryWrite(join(v2, "cgroup.kill"), "1")) return true;
      killEach(pids());
      return false;
    },
    usage: () => {
      const cpu = cpuSeconds();
      const peak = readNumber(
        v1.memory === undefined
          ? v2 && join(v2, "memory.peak")
          : join(v1.memory, "memory.max_usage_in_bytes"),
      );
      const current = readNumber(
        v1.memory === undefined
          ? v2 && join(v2, "memory.current")
          : join(v1.memory, "memory.usage_in_bytes"),
      );
      return {
        ...(cpu === undefined ? {} : { cpu_s: Math.max(0, cpu - base.cpu_s) }),
        ...(peak === undefined ? {} : { peak_memory_bytes: peak }),
        ...(current === undefined ? {} : { current_memory_bytes: current }),
      };
    },
    hits: () => {
      const now = rawHits();
      return { memory: now.memory - base.memory, processes: now.processes - base.processes };
    },
    reset: () => {
      if (v1.memory !== undefined) tryWrite(join(v1.memory, "memory.max_usage_in_bytes"), "0");
      base = { cpu_s: cpuSeconds() ?? 0, ...rawHits() };
    },
    make: (name, childLimits) => {
      if (v2 !== undefined && trees.v2Controllers.length > 0) delegate(v2);
      return makeGroup(trees, join(path, name), childLimits);
    },
    remove: async () => {
      await Promise.all(folders.map(emptyAndRemove));
    },
  };
}

function limitV1(
  v1: { readonly [c in Controller]?: string },
  { memoryBytes, cpuPercent, processes }: GroupLimits,
): void {
  if (v1.memory !== undefined) {
    write(join(v1.memory, "memory.limit_in_bytes"), String(memoryBytes));
    // Absent where swap is not accounted; without it a limited guest would go on in swap.
    tryWrite(join(v1.memory, "memory.memsw.limit_in_bytes"), String(memoryBytes));
  }
  if (v1.pids !== undefined) write(join(v1.pids, "pids.max"), String(processes));
  if (v1.cpu !== undefined) {
    write(join(v1.cpu, "cpu.cfs_period_us"), "100000");
    write(join(v1.cpu, "cpu.cfs_quota_us"), String(Math.max(1000, Math.round(cpuPercent * 1000))));
  }
}

function limitV2(
  folder: string,
  { memoryBytes, cpuPercent, processes }: GroupLimits,
  given: readonly Controller[],
): void {
  if (given.includes("memory")) {
    write(join(folder, "memory.max"), String(memoryBytes));
    tryWrite(join(folder, "memory.swap.max"), "0");
  }
  if (given.includes("pids")) write(join(folder, "pids.max"), String(processes));
  if (given.includes("cpu"))
    write(
      join(folder, "cpu.max"),
      `${String(Math.max(1000, Math.round(cpuPercent * 1000)))} 100000`,
    );
}

async function emptyAndRemove(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (let ms = 1; ms < 2000; ms *= 2) {
    if (!tryWrite(join(folder, "cgroup.kill"), "1")) killEach(allPids(folder));
    if (removeTree(folder)) return;
    await wait(ms);
  }
}

function removeTree(folder: string): boolean {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) removeTree(join(folder, entry.name));
    rmdirSync(folder);
    return true;
  } catch {
    return !existsSync(folder);
  }
}

function allPids(folder: string): readonly number[] {
  try {
    return [
      ...readNumbers(join(folder, "cgroup.procs")),
      ...readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .flatMap((entry) => allPids(join(folder, entry.name))),
    ];
  } catch {
    return [];
  }
}

function killEach(pids: readonly number[]): void {
  for (const pid of pids) {
    if (pid <= 1) continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  }
}

/** Clock ticks since boot at which a process began: with its pid, its identity. */
function startOf(pid: number): string | undefined {
  const stat = readText(`/proc/${String(pid)}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

function write(path: string, text: string): void {
  const fd = openSync(path, "w");
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

function tryWrite(path: string, text: string): boolean {
  try {
    write(path, text);
    return true;
  } catch {
    return false;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function readNumber(path: string | undefined): number | undefined {
  const text = path === undefined ? undefined : readText(path);
  return text === undefined ? undefined : Number(text);
}

function readNumbers(path: string): readonly number[] {
  return (readText(path) ?? "").split("\n").filter(Boolean).map(Number);
}
