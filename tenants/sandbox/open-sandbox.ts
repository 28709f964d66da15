import { type ChildProcess, spawn } from "node:child_process";
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Groups, openGroups } from "./cgroups.ts";
import {
  bubblewrapLine,
  type Machine,
  namespacesLine,
  type Prepared,
  plainLine,
  readOnly,
} from "./command-lines.ts";
import { addressesOf, type Door, hostsFile, planDoors, serveDoor } from "./egress.ts";
import { provideNode } from "./interpreters.ts";
import type { Boxed, Exit, Launch } from "./launch.ts";
import { hostPidOf, pidsInside } from "./pids.ts";
import { stoppedAt } from "./reach.ts";

export type Driver = "bubblewrap" | "namespaces" | "plain";

export type Fence =
  | "memory"
  | "cpu"
  | "processes"
  | "uid"
  | "network"
  | "files"
  | "syscalls"
  | "kill";

export type Sandbox = {
  readonly driver: Driver;
  /** What this driver cannot enforce on this machine, one sentence each: for the start line, doctor and health. */
  readonly warnings: readonly string[];
  readonly enforces: { readonly [fence in Fence]: boolean };
  /** Whether paths can be bound: if not, a process inside sees the host's own paths. */
  readonly binds: boolean;
  /** Whether each launch can have a uid of its own on the host. */
  readonly root: boolean;
  readonly groups: Groups | undefined;
  /** Folder for sockets and the like: short, because a socket's path may have 107 bytes; others may pass through but not read it. */
  readonly runDir: string;
  /** A Node that tenants' uids can run. */
  node(): string;
  launch(launch: Launch): Promise<Boxed>;
  /** Removes what this sandbox made. End what runs first. */
  close(): Promise<void>;
};

export type SandboxOptions = {
  /** `AIRLOCK_SANDBOX`: `auto` takes the strongest that this machine allows. */
  readonly want?: "auto" | "linux" | Driver;
  /** Where a copy of Node may be put that tenants' uids can reach. */
  readonly stateDir: string;
};

export type NoSandbox = { readonly message: string; readonly hint: string };

/** A uid that belongs to nobody, for trying drivers out. */
const probeUid = 65_533;

/**
 * Tries the drivers, strongest first, by really starting something in them. Throws a NoSandboxError where a
 * driver was asked for by name and this machine refuses it.
 */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const root = process.getuid?.() === 0;
  const groups = openGroups();
  const machine = lookAtMachine(root, groups);
  const runDir = makeRunDir();
  const want = options.want ?? "auto";
  const refusals: string[] = [];
  for (const driver of ["bubblewrap", "namespaces", "plain"] as const) {
    if (want === "plain" ? driver !== "plain" : want === "linux" ? driver === "plain" : false)
      continue;
    if (want !== "auto" && want !== "linux" && want !== driver) continue;
    const bwrap = driver === "bubblewrap" ? which("bwrap") : undefined;
    if (driver === "bubblewrap" && bwrap === undefined) {
      refusals.push("bubblewrap is not installed (Debian package bubblewrap)");
      continue;
    }
    const line = (launch: Prepared): readonly string[] =>
      driver === "plain"
        ? plainLine(machine, launch)
        : driver === "namespaces"
          ? namespacesLine(machine, launch)
          : bubblewrapLine(bwrap ?? "bwrap", machine, launch);
    const sandbox = describe(driver, line, { machine, groups, runDir, options, refusals });
    const refusal = await tryOut(sandbox);
    if (refusal === undefined) return sandbox;
    refusals.push(`${driver}: ${refusal}`);
  }
  await groups?.close();
  rmSync(runDir, { recursive: true, force: true });
  throw new NoSandboxError(refusals);
}

export class NoSandboxError extends Error {
  readonly hint =
    "Install bubblewrap and allow user namespaces (sysctl user.max_user_namespaces; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), or set AIRLOCK_SANDBOX=plain for development.";
  constructor(refusals: readonly string[]) {
    super(`No sandbox can be made on this machine: ${refusals.join("; ")}.`);
    this.name = "NoSandboxError";
  }
}

type Parts = {
  readonly machine: Machine;
  readonly groups: Groups | undefined;
  readonly runDir: string;
  readonly options: SandboxOptions;
  readonly refusals: readonly string[];
};

function describe(
  driver: Driver,
  line: (launch: Prepared) => readonly string[],
  { machine, groups, runDir, options, refusals }: Parts,
): Sandbox {
  const binds = driver !== "plain";
  const filtered =
    machine.filter !== undefined && (driver === "bubblewrap" || machine.python !== undefined);
  const enforces = {
    memory: groups?.enforces.memory ?? false,
    cpu: groups?.enforces.cpu ?? false,
    processes: (groups?.enforces.processes ?? false) || binds || existsSync("/usr/bin/prlimit"),
    uid: machine.root,
    network: binds,
    files: binds,
    syscalls: filtered,
    kill: groups?.enforces.kill ?? false,
  };
  let node: string | undefined;
  const provide = (): string => (node ??= provideNode(options.stateDir, probeUid));
  let launches = 0;
  return {
    driver,
    warnings: warningsOf(driver, enforces, machine, refusals),
    enforces,
    binds,
    root: machine.root,
    groups,
    runDir,
    node: provide,
    launch: (launch) =>
      start(launch, line, {
        machine,
        binds,
        node: provide,
        scratch: join(runDir, `b${String(++launches)}`),
      }),
    close: async () => {
      await groups?.close();
      rmSync(runDir, { recursive: true, force: true });
    },
  };
}

function warningsOf(
  driver: Driver,
  enforces: Sandbox["enforces"],
  machine: Machine,
  refusals: readonly string[],
): readonly string[] {
  const say: string[] = [];
  if (driver === "plain")
    say.push(
      `Tasks run WITHOUT a sandbox, as plain processes: they can read this machine's files and reach its network${refusals.length === 0 ? "" : ` (${refusals.join("; ")})`}. For development only.`,
    );
  if (driver === "namespaces")
    say.push(
      "bubblewrap is not installed: the sandbox is built with util-linux; a guest whose worker is killed may outlive it until the next start (install Debian's bubblewrap).",
    );
  if (!enforces.uid)
    say.push("Not root: tenants share this user's uid and are kept apart by namespaces alone.");
  if (!enforces.memory)
    say.push(
      "Memory is limited per process only, not per task: no writable memory control group (as root: give /sys/fs/cgroup/memory/airlock to this user; with systemd: Delegate=yes).",
    );
  if (!enforces.cpu) say.push("CPU time is not limited: no writable cpu control group.");
  if (!enforces.processes) say.push("The number of processes is not limited.");
  if (!enforces.syscalls)
    say.push(
      machine.filter === undefined
        ? `System calls are not filtered: no filter for ${process.arch}.`
        : "System calls are not filtered: without bubblewrap that needs python3 with ctypes.",
    );
  if (!enforces.kill && driver === "plain" && machine.python === undefined)
    say.push("What a task leaves running in a session of its own cannot be ended.");
  return say;
}

type Ground = {
  readonly machine: Machine;
  readonly binds: boolean;
  readonly node: () => string;
  readonly scratch: string;
};

async function start(
  launch: Launch,
  line: (launch: Prepared) => readonly string[],
  { machine, binds, node, scratch }: Ground,
): Promise<Boxed> {
  for (const { from } of launch.binds) {
    const stop = machine.root ? stoppedAt(from, launch.uid) : undefined;
    if (stop !== undefined)
      throw new Error(
        `${launch.name} cannot start: uid ${String(launch.uid)} cannot enter ${stop}, which leads to ${from}`,
      );
  }
  // Whatever umask the house has, tenants' uids must be able to pass.
  mkdirSync(scratch, { recursive: true });
  chmodSync(scratch, 0o711);
  const doors = binds ? planDoors(launch.egress) : [];
  const prepared: Prepared = {
    ...launch,
    scratch: join(scratch, "root"),
    binds: binds ? [...etcBinds(scratch, doors), ...launch.binds] : [],
    ...(doors.length === 0
      ? {}
      : {
          online: {
            node: node(),
            addresses: addressesOf(doors),
            listen: JSON.stringify(doors.map(({ address, rule }) => [address, rule.port])),
          },
        }),
  };
  mkdirSync(prepared.scratch);
  chmodSync(prepared.scratch, 0o755);
  const argv = line(prepared);
  const filter = machine.filter === undefined ? undefined : openSync(machine.filter, "r");
  let child: ChildProcess;
  try {
    child = spawn(argv[0] as string, argv.slice(1), {
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      cwd: "/",
      stdio: [
        "pipe",
        "pipe",
        "pipe",
        ...(filter === undefined && doors.length === 0 ? [] : [filter ?? ("ignore" as const)]),
        ...(doors.length === 0 ? [] : ["ipc" as const]),
      ],
      // A group of its own: Ctrl-C at the terminal is the house's to answer, not the guests'.
      detached: true,
      serialization: "json",
    });
  } finally {
    if (filter !== undefined) closeSync(filter);
  }
  const closers: (() => void)[] = [];
  const exited = new Promise<Exit>((resolve) => {
    child.once("error", () => resolve({ code: 127, signal: null }));
    child.once("exit", (code, signal) => resolve(readExit(code, signal)));
  });
  void exited.then(() => {
    for (const close of closers) close();
    rmSync(scratch, { recursive: true, force: true });
  });
  const [stdin, stdout, stderr] = child.stdio as unknown as [Writable, Readable, Readable];
  // A guest that is gone is noticed by its exit, not by a failed write.
  stdin.on("error", () => undefined);
  stdout.on("error", () => undefined);
  stderr.on("error", () => undefined);
  if (doors.length > 0) await openDoors(child, doors, closers, exited, stderr, launch.onDoor);
  return {
    stdin,
    stdout,
    stderr,
    exited,
    hostPid: (pid) => (child.pid === undefined ? undefined : hostPidOf(child.pid, pid, binds)),
    hostPids: () => (child.pid === undefined ? [] : pidsInside(child.pid, binds)),
    kill: () => {
      launch.group?.kill();
      if (child.pid === undefined) return;
      for (const pid of [...pidsInside(child.pid, binds), child.pid]) endProcess(pid);
    },
  };
}

async function openDoors(
  child: ChildProcess,
  doors: readonly Door[],
  closers: (() => void)[],
  exited: Promise<Exit>,
  stderr: Readable,
  onDoor: Launch["onDoor"],
): Promise<void> {
  let said = "";
  const hear = (chunk: Buffer): void => {
    said = (said + chunk.toString("utf8")).slice(-2000);
  };
  stderr.on("data", hear);
  let open = 0;
  const ready = new Promise<true>((resolve) => {
    child.on("message", (message: { rule?: unknown }, handle) => {
      const door = typeof message.rule === "number" ? doors[message.rule] : undefined;
      if (door === undefined || handle === undefined) return;
      closers.push(serveDoor(handle as Server, door.rule, onDoor));
      open += 1;
      if (open === doors.length) resolve(true);
    });
  });
  const up = await Promise.race([ready, exited.then(() => false)]);
  stderr.off("data", hear);
  if (!up) throw new Error(`the network of a guest did not come up: ${said.trim()}`);
  child.send({ done: true }, () => undefined);
  await new Promise<void>((resolve) => {
    child.once("disconnect", resolve);
    void exited.then(() => resolve());
  });
}

function readExit(code: number | null, signal: NodeJS.Signals | null): Exit {
  if (signal !== null || code === null || code <= 128 || code > 192) return { code, signal };
  return { code, signal: signalName(code - 128) };
}

const signalNames: { readonly [n: number]: string } = {
  1: "SIGHUP",
  2: "SIGINT",
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  14: "SIGALRM",
  15: "SIGTERM",
  24: "SIGXCPU",
  25: "SIGXFSZ",
  31: "SIGSYS",
};
export const signalName = (n: number): string => signalNames[n] ?? `signal ${String(n)}`;

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}

/** The few files of /etc that programs expect, without a word about this machine. */
function etcBinds(scratch: string, doors: readonly Door[]): Launch["binds"] {
  const made = {
    passwd: "root:x:0:0:root:/:/bin/sh\nguest:x:1000:1000:guest:/tmp:/bin/sh\n",
    group: "root:x:0:\nguest:x:1000:\n",
    hosts: hostsFile(doors),
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "resolv.conf": "",
  };
  return [
    ...kept.filter((path) => existsSync(path)).map(readOnly),
    ...Object.entries(made).map(([name, text]) => {
      const from = join(scratch, name);
      writeFileSync(from, text);
      chmodSync(from, 0o644);
      return { from, to: `/etc/${name}`, access: "read" as const };
    }),
  ];
}

const kept = [
  "/etc/alternatives",
  "/etc/ca-certificates",
  "/etc/crypto-policies",
  "/etc/fonts",
  "/etc/ld.so.cache",
  "/etc/localtime",
  "/etc/mime.types",
  "/etc/pki",
  "/etc/protocols",
  "/etc/services",
  "/etc/ssl",
];

/** Starts the smallest program in it; answers why it did not run. */
async function tryOut(sandbox: Sandbox): Promise<string | undefined> {
  try {
    const boxed = await sandbox.launch({
      name: "probe",
      uid: sandbox.root ? probeUid : (process.getuid?.() ?? 0),
      command: [existsSync("/usr/bin/true") ? "/usr/bin/true" : "/bin/true"],
      binds: [],
      cwd: "/",
      env: {},
      egress: [],
      limits: { memoryBytes: 64 << 20, processes: 64, openFiles: 64, fileBytes: 1 << 20 },
      first: false,
    });
    let said = "";
    boxed.stderr.on(
      "data",
      (chunk: Buffer) => (said = (said + chunk.toString("utf8")).slice(-1000)),
    );
    boxed.stdout.resume();
    const timer = setTimeout(() => boxed.kill(), 10_000);
    const { code, signal } = await boxed.exited;
    clearTimeout(timer);
    if (code === 0) return undefined;
    return said.trim().split("\n").at(-1) ?? `it ended with ${String(signal ?? code)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function lookAtMachine(root: boolean, groups: Groups | undefined): Machine {
  const links: { path: string; target: string }[] = [];
  const systemFolders = ["/usr"];
  for (const path of ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]) {
    if (!existsSync(path)) continue;
    if (lstatSync(path).isSymbolicLink()) links.push({ path, target: readlinkSync(path) });
    else systemFolders.push(path);
  }
  const filter = fileURLToPath(new URL(`./filter/${process.arch}.bpf`, import.meta.url));
  const python = "/usr/bin/python3";
  return {
    root,
    links,
    systemFolders,
    groupMemory: groups?.enforces.memory ?? false,
    groupProcesses: groups?.enforces.processes ?? false,
    ...(hasCtypes(python) ? { python } : {}),
    ...(existsSync(filter) ? { filter } : {}),
    // Without --norc bash takes a socket on standard input for a remote shell and reads root's own .bashrc.
    shell: existsSync("/bin/bash") ? ["/bin/bash", "--norc"] : ["/bin/sh"],
  };
}

/** Debian's python3-minimal has no ctypes. Looked up, not run: starting Python costs more than the rest of this file. */
function hasCtypes(python: string): boolean {
  if (!existsSync(python)) return false;
  return readdirSync("/usr/lib").some(
    (name) => /^python3\.\d+$/.test(name) && existsSync(`/usr/lib/${name}/ctypes/__init__.py`),
  );
}

function which(program: string): string | undefined {
  for (const folder of ["/usr/bin", "/bin", "/usr/local/bin"]) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

function makeRunDir(): string {
  sweepRunDirs();
  for (const base of [tmpdir(), "/tmp", "/var/tmp"]) {
    try {
      if (base.length > 60 || stoppedAt(base, probeUid) !== undefined) continue;
      const folder = mkdtempSync(join(base, `airlock-${String(process.pid)}-`));
      chmodSync(folder, 0o711);
      return folder;
    } catch {
      // The next may do.
    }
  }
  throw new Error(
    "no temporary folder that tenants' uids can reach (tried TMPDIR, /tmp, /var/tmp)",
  );
}

/** Folders of houses that were killed. */
function sweepRunDirs(): void {
  for (const base of new Set([tmpdir(), "/tmp", "/var/tmp"])) {
    try {
      for (const name of readdirSync(base)) {
        const pid = /^airlock-(\d+)-\w{6}$/.exec(name)?.[1];
        if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
        const folder = join(base, name);
        if (lstatSync(folder).uid === process.getuid?.() && lstatSync(folder).isDirectory())
          rmSync(folder, { recursive: true, force: true });
      }
    } catch {
      // Not ours to read.
    }
  }
}

/** For doctor: the kernel's own word on user namespaces. */
export const userNamespacesMax = (): string => {
  try {
    return readFileSync("/proc/sys/user/max_user_namespaces", "utf8").trim();
  } catch {
    return "unknown";
  }
};
