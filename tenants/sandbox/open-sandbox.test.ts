/** The conformance suite: the same probes in every driver. A probe is an attack; what a driver cannot stop it must say. */
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Launch } from "./launch.ts";
import { type Driver, openSandbox, type Sandbox } from "./open-sandbox.ts";

const root = process.getuid?.() === 0;
const uid = root ? 42_000 + (process.pid % 10_000) : (process.getuid?.() ?? 0);
const drivers: readonly Driver[] = ["bubblewrap", "namespaces", "plain"];

describe.each(drivers)("the %s driver", (driver) => {
  let sandbox: Sandbox;
  let folder: string;
  let mine: string;
  let others: string;
  let refusal: string | undefined;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "sandbox-"));
    chmodSync(folder, 0o755);
    mine = join(folder, "mine");
    others = join(folder, "others");
    for (const [path, owner] of [
      [mine, uid],
      [others, uid + 1],
    ] as const) {
      mkdirSync(path);
      if (root) chownSync(path, owner, owner);
      chmodSync(path, 0o700);
      writeFileSync(join(path, "secret"), "other tenant's");
    }
    try {
      sandbox = await openSandbox({ want: driver, stateDir: join(folder, "state") });
    } catch (error) {
      refusal = (error as Error).message;
      console.warn(`SKIPPED: the ${driver} driver: ${refusal}`);
    }
  });
  afterAll(async () => {
    if (refusal === undefined) await sandbox.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const python = (code: string, changes: Partial<Launch> = {}) =>
    run(
      ["/usr/bin/python3", "-I", "-S", "-c", `import os, sys, socket, time, ctypes\n${code}`],
      changes,
    );

  async function run(command: readonly string[], changes: Partial<Launch> = {}) {
    const boxed = await sandbox.launch({
      name: "probe",
      uid,
      command,
      binds: [{ from: mine, to: "/work", access: "write" }],
      cwd: sandbox.binds ? "/work" : mine,
      env: { PATH: "/usr/bin:/bin", GREETING: "hello" },
      egress: [],
      limits: { memoryBytes: 128 << 20, processes: 32, openFiles: 128, fileBytes: 1 << 20 },
      first: false,
      ...changes,
    });
    let out = "";
    boxed.stdout.on("data", (chunk: Buffer) => (out += chunk.toString("utf8")));
    boxed.stderr.on("data", (chunk: Buffer) => (out += chunk.toString("utf8")));
    const timer = setTimeout(() => boxed.kill(), 15_000);
    const exit = await boxed.exited;
    clearTimeout(timer);
    await new Promise((resolve) => setImmediate(resolve));
    return { ...exit, out };
  }

  test("says what it cannot enforce, and nothing else", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    expect(sandbox.driver).toBe(driver);
    for (const [fence, held] of Object.entries(sandbox.enforces))
      if (!held && fence !== "kill") expect(sandbox.warnings.length).toBeGreaterThan(0);
    if (driver === "plain") expect(sandbox.warnings.join()).toContain("WITHOUT a sandbox");
    if (driver === "bubblewrap" && root && sandbox.enforces.memory)
      expect(sandbox.warnings).toEqual([]);
  });

  test("gives an empty environment and no descriptor of the house", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    expect(openSync("/etc/hostname", "r")).toBeGreaterThan(2);
    const seen = await python(
      "print(sorted(os.environ)); print([os.readlink('/proc/self/fd/%d' % n)[:6] for n in range(3, 300) if os.path.exists('/proc/self/fd/%d' % n)])",
    );
    expect(seen.out).toContain("'GREETING', ");
    expect(seen.out).not.toMatch(/HOME|NODE_CHANNEL|SECRET|DATABASE/);
    expect(seen.out.split("\n")[1]).toBe("[]");
  });

  test("runs as the tenant, without a capability, and nothing gives one back", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    const seen = await python(
      "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapPrm', 'NoNewPrivs'))]); open('mine', 'w').write('x')",
    );
    expect(seen.out).toContain("['0000000000000000', '0000000000000000', '1']");
    const { uid: owner } = statSync(join(mine, "mine"));
    expect(owner).toBe(uid);
  });

  test("hides the house: its environment, its memory, its processes", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    // As an ordinary user without namespaces it is the very same uid: the probe would end this test.
    if (!sandbox.binds && !root) return;
    const house = String(process.pid);
    const seen = await python(`
for path in ("/proc/1/environ", "/proc/${house}/environ", "/proc/${house}/mem", "/proc/${house}/root/etc/shadow", "/etc/shadow", "/root/.bashrc"):
    try: print("READ", path, len(open(path, "rb").read(100)))
    except OSError as e: pass
libc = ctypes.CDLL(None, use_errno=True)
for pid in (1, ${house}):
    if libc.ptrace(16, pid, 0, 0) == 0: print("TRACED", pid)
try: os.kill(${house}, 9); print("KILLED")
except OSError: pass`);
    expect(seen.out.replace("READ /proc/1/environ 0", "")).not.toMatch(
      sandbox.binds ? /READ (?!\/proc\/1\/environ)|TRACED|KILLED/ : /READ|TRACED|KILLED/,
    );
  });

  test("keeps other tenants' folders shut", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    if (!sandbox.binds && !root) return;
    const seen = await python(`print(open(${JSON.stringify(join(others, "secret"))}).read())`);
    expect(seen.out).not.toContain("other tenant's");
    expect(seen.code).not.toBe(0);
  });

  test("lets nobody write to what is read-only: the system, the bundle, the root", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    const bundle = join(folder, "bundle");
    mkdirSync(bundle, { recursive: true });
    chmodSync(bundle, 0o755);
    writeFileSync(join(bundle, "dag.py"), "x");
    const seen = await python(
      `
for path in ("/usr/bin/x", "/etc/x", "/x", "/bin/x", "/dev/x", "/proc/sys/kernel/hostname", ${JSON.stringify(sandbox.binds ? "/bundle/dag.py" : join(bundle, "dag.py"))}):
    try: open(path, "w").write("x"); print("WROTE", path)
    except OSError: pass`,
      { binds: [{ from: bundle, to: "/bundle", access: "read" }], cwd: "/" },
    );
    // As an ordinary user without namespaces the bundle belongs to the very same uid.
    if (!sandbox.binds && !root) return;
    expect(seen.out.replace(/WROTE \/dev\/x\n/, "")).toBe("");
  });

  test("closes the kernel's side doors", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    if (!sandbox.enforces.syscalls) return;
    const seen = await python(`
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, *args):
    ctypes.set_errno(0)
    if getattr(libc, name)(*args) == 0: print("OPEN", name)
tried("unshare", 0x10000000)
tried("mount", b"x", b"/tmp", b"tmpfs", 0, None)
tried("setns", 0, 0)
for call in (${process.arch === "arm64" ? "425, 280, 282, 241, 217, 97" : "425, 321, 323, 298, 248, 272"}):  # io_uring_setup bpf userfaultfd perf_event_open add_key unshare
    ctypes.set_errno(0)
    if libc.syscall(call, 0x10000000, 0, 0, 0, 0) >= 0 or ctypes.get_errno() not in (1, 38): print("OPEN", call, ctypes.get_errno())
for family in (38, 40):
    try: socket.socket(family, socket.SOCK_STREAM if family == 40 else socket.SOCK_SEQPACKET); print("OPEN family", family)
    except OSError: pass
try: time.clock_settime(time.CLOCK_REALTIME, 0); print("OPEN clock")
except OSError: pass
import fcntl
try: fcntl.ioctl(0, 0x5412, b"x"); print("OPEN TIOCSTI")
except OSError as e:
    if e.errno != 1: print("TIOCSTI", e)`);
    expect(seen.out).toBe("");
  });

  test("has no network but what was allowed", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    const server: Server = createServer((socket) => socket.end("from the house"));
    server.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const abstract = createServer((socket) => socket.end("from the house"));
    const name = `\0airlock-test-${String(process.pid)}-${driver}`;
    abstract.listen(name);
    const { port } = server.address() as { port: number };
    const code = `
for where in (("127.0.0.1", ${String(port)}), ("127.0.0.1", ${String(port + 1)}), ("169.254.169.254", 80), ("192.0.2.1", 443)):
    try:
        with socket.create_connection(where, timeout=2) as s: print(where, s.recv(100))
    except OSError: pass
s = socket.socket(socket.AF_UNIX)
try: s.connect(${JSON.stringify(name)}); print("abstract", s.recv(100))
except OSError: pass
try: print("resolved", socket.getaddrinfo("allowed.example", 1)[0][4][0], socket.getaddrinfo("denied.example", 1))
except OSError: pass`;
    const shut = await python(code);
    const open = await python(code, { egress: [{ host: "127.0.0.1", port }] });
    server.close();
    abstract.close();
    if (!sandbox.enforces.network) {
      expect(sandbox.warnings.join()).toContain("reach its network");
      return;
    }
    expect(shut.out).toBe("");
    expect(open.out).toBe(`('127.0.0.1', ${String(port)}) b'from the house'\n`);
  });

  test("stops one file that grows, and memory and processes beyond their limit", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    const file = await python(
      "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); f = open('big', 'wb', 0)\nwhile True: f.write(b'x' * 65536)",
    );
    expect(file.code === 0 && file.signal === null).toBe(false);
    expect(readFileSync(join(mine, "big")).length).toBeLessThanOrEqual(1 << 20);
    const limits = { memoryBytes: 128 << 20, cpuPercent: 100, processes: 32 };
    const group = sandbox.groups?.make(`probe-${driver}`, limits);
    const inGroup = group === undefined ? {} : { group };
    const memory = await python("b = []\nwhile True: b.append(bytearray(8 << 20))", inGroup);
    expect(memory.signal === "SIGKILL" || memory.out.includes("MemoryError")).toBe(true);
    const forks = await python(
      "n = 0\ntry:\n  while n < 3000:\n    if os.fork() == 0: time.sleep(30)\n    n += 1\nexcept OSError: print('stopped at', n, flush=True)\nos.kill(0, 9)",
      inGroup,
    );
    await group?.remove();
    if (sandbox.enforces.processes && (sandbox.binds || root))
      expect(forks.out).toContain("stopped at");
  });

  test("ends everything with its first process, what it hid included", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    const mark = `sandbox-${String(process.pid)}-${driver}`;
    const group = sandbox.groups?.make(`daemon-${driver}`);
    const boxed = await sandbox.launch({
      name: "probe",
      uid,
      command: [
        "/usr/bin/python3",
        "-I",
        "-S",
        "-c",
        `import os, time, signal
for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.execv("/bin/sh", ["sh", "-c", "trap '' TERM; while :; do sleep 1; done", "${mark}"])
    os._exit(0)
print("up", flush=True)
time.sleep(100)`,
      ],
      binds: [],
      cwd: "/",
      env: {},
      egress: [],
      limits: { memoryBytes: 128 << 20, processes: 32, openFiles: 128, fileBytes: 1 << 20 },
      ...(group === undefined ? {} : { group }),
      first: false,
    });
    await new Promise((resolve) => boxed.stdout.once("data", resolve));
    await expect.poll(() => processesNamed(mark).length).toBe(1);
    boxed.kill();
    await boxed.exited;
    await expect.poll(() => processesNamed(mark)).toEqual([]);
    await group?.remove();
  });

  test("ends with a house that was killed", async (context) => {
    if (refusal !== undefined) context.skip(refusal);
    if (driver !== "bubblewrap") return;
    const mark = `orphan-${String(process.pid)}`;
    const script = `
const { openSandbox } = await import(${JSON.stringify(new URL("./open-sandbox.ts", import.meta.url).href)});
const sandbox = await openSandbox({ want: "bubblewrap", stateDir: ${JSON.stringify(join(folder, "orphan"))} });
await sandbox.launch({ name: "x", uid: ${String(uid)}, command: ["/bin/sh", "-c", "while :; do sleep 1; done", "${mark}"], binds: [], cwd: "/", env: {},
  egress: [], limits: { memoryBytes: 1 << 27, processes: 32, openFiles: 64, fileBytes: 1 << 20 }, first: false });
setInterval(() => {}, 1000);`;
    const house = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: "ignore",
    });
    await expect.poll(() => processesNamed(mark).length, { timeout: 10_000 }).toBeGreaterThan(0);
    house.kill("SIGKILL");
    await expect.poll(() => processesNamed(mark)).toEqual([]);
  });
});

test("a second house sweeps what a killed one left in the control groups", async () => {
  const memory = "/sys/fs/cgroup/memory/airlock";
  if (!root || !existsSync(memory)) return;
  const dead = execFileSync("/bin/sh", ["-c", "echo $$"], { encoding: "utf8" }).trim();
  mkdirSync(join(memory, `${dead}.1.abcdef`, "g1"), { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), "sandbox-"));
  const sandbox = await openSandbox({ stateDir: folder });
  await expect.poll(() => existsSync(join(memory, `${dead}.1.abcdef`))).toBe(false);
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

test("a folder that the tenant's uid cannot enter is named, not tripped over", async () => {
  if (!root) return;
  const folder = mkdtempSync(join(tmpdir(), "sandbox-"));
  const shut = join(folder, "shut");
  mkdirSync(join(shut, "bundle"), { recursive: true });
  chmodSync(shut, 0o700);
  const sandbox = await openSandbox({ stateDir: folder });
  await expect(
    sandbox.launch({
      name: "the guest of acme",
      uid,
      command: ["/bin/true"],
      binds: [{ from: join(shut, "bundle"), to: "/bundle", access: "read" }],
      cwd: "/",
      env: {},
      egress: [],
      limits: { memoryBytes: 1 << 27, processes: 32, openFiles: 64, fileBytes: 1 << 20 },
      first: false,
    }),
  ).rejects.toThrow(`cannot enter ${folder}`);
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

function processesNamed(mark: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [shell, flag, script, name] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split(
          "\0",
        );
        // Not the launchers, which carry the same words further back.
        return (
          /^(?:\/bin\/)?sh$/.test(shell ?? "") &&
          flag === "-c" &&
          /^(?:while|trap)/.test(script ?? "") &&
          name === mark
        );
      } catch {
        return false;
      }
    });
}
