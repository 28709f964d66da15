import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { known } from "../../platform/model/ids.ts";
import type { Group } from "../sandbox/cgroups.ts";
import { type Stage, setStage } from "./test-guest/stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
});
afterAll(async () => {
  await stage.close();
});

const failure = (told: { readonly outcome: { readonly kind: string } }) =>
  told.outcome as unknown as { kind: string; reason: string; limit?: string; retryable: boolean };

/** Processes of the tenant's uid that are still there, those of warm guests excluded. */
const survivors = (mark: string): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark);
      } catch {
        return false;
      }
    });

describe("an attempt", () => {
  test("says its outcome, its words and its XComs, and what it used", async () => {
    const told = await stage.run(
      "print('to out'); print('to err', file=sys.stderr, flush=True); xcom({'a': [1, 2.5, None, True, 'ä']}, mapped_length=1)",
    );
    expect(told.outcome).toMatchObject({ kind: "success", mapped_length: 1 });
    expect(told.outcome.usage.start_ms).toBeGreaterThan(0);
    expect(told.outcome.usage.peak_memory_bytes).toBeGreaterThan(0);
    expect(told.xcoms.get("return_value")).toEqual({ a: [1, 2.5, null, true, "ä"] });
    await expect
      .poll(() => told.lines.map(({ source, level, text }) => [source, level, text]))
      .toEqual(
        expect.arrayContaining([
          ["stdout", "info", "to out"],
          ["stderr", "error", "to err"],
        ]),
      );
  });

  test("says the lengths of the keys that are mapped over, and of no others", async () => {
    const told = await stage.run(
      "xcom([1, 2], mapped_length=2); xcom([1], 'rows', mapped_length=1); xcom([1, 2, 3], 'other', mapped_length=3)",
      { start: { push_length: true, push_length_keys: ["rows"] } },
    );
    expect({ ...told.outcome, usage: undefined }).toEqual({
      kind: "success",
      mapped_length: 2,
      mapped_lengths: { rows: 1 },
      usage: undefined,
    });
    const much = await stage.run("xcom([1], mapped_length=2**31)");
    expect(failure(much).reason).toContain("mapped_length");
  });

  test("counts its own CPU time and not its neighbours'", async () => {
    const busy = await stage.run(
      "e = time.process_time() + 0.3\nwhile time.process_time() < e: pass",
    );
    const idle = await stage.run("pass");
    expect(busy.outcome.usage.cpu_s).toBeGreaterThan(0.25);
    expect(idle.outcome.usage.cpu_s).toBeLessThan(0.2);
  });

  test("begins on a warm guest with a single frame: no process is started for it", async () => {
    await stage.run("pass");
    const before = stage.guests.stats().started;
    const told = await stage.run("xcom(os.getppid())");
    expect(stage.guests.stats().started).toBe(before);
    expect(stage.guests.warm(stage.key())).toBe(true);
    expect(told.outcome.usage.start_ms).toBeLessThan(50);
  });

  test.each([
    [
      "ask({'type': 'TaskState', 'state': 'failed', 'reason': 'no more'}); time.sleep(60)",
      { kind: "failed", retryable: false, reason: "no more" },
    ],
    ["ask({'type': 'TaskState', 'state': 'skipped'}); time.sleep(60)", { kind: "skipped" }],
    [
      "ask({'type': 'RetryTask', 'reason': 'later'}); time.sleep(60)",
      { kind: "failed", retryable: true, reason: "later" },
    ],
    [
      "ask({'type': 'RescheduleTask', 'reschedule_date': '2026-01-01T01:00:00+01:00'}); os._exit(0)",
      { kind: "reschedule", at: "2026-01-01T00:00:00.000Z" },
    ],
    [
      "ask({'type': 'DeferTask', 'classpath': 'a.B', 'trigger_kwargs': {'x': 1}, 'trigger_timeout': 'P1DT2.5S', 'next_method': 'go', 'next_kwargs': {'y': 2}}); os._exit(0)",
      {
        kind: "deferred",
        trigger: { classpath: "a.B", kwargs: { x: 1 } },
        timeout_s: 86_402.5,
        next_method: "go",
        next_kwargs: { y: 2 },
      },
    ],
    [
      "ask({'type': 'SkipDownstreamTasks', 'tasks': ['a', ['b', 1]]})",
      { kind: "success", skip: { followed: [], skipped: ["a", "b"] } },
    ],
    [
      "result = {'skip': {'followed': ['x'], 'skipped': ['y']}}",
      { kind: "success", skip: { followed: ["x"], skipped: ["y"] } },
    ],
    ["os._exit(0)", { kind: "success" }],
    ["os._exit(3)", { kind: "failed", retryable: true, exit_code: 3 }],
    ["os.kill(os.getpid(), 11)", { kind: "failed", retryable: true, signal: "SIGSEGV" }],
  ])("that does %s ends as said", async (code, expected) => {
    const stop = new AbortController();
    const told = await stage.run(code, { signal: stop.signal });
    stop.abort();
    expect(told.outcome).toMatchObject(expected);
  });

  test("gets Airflow's answers to what it asks", async () => {
    const { xcoms, outcome } = await stage.run(`
own = dict(dag_id="d", run_id="r", task_id="t", map_index=-1)
x = dict(key="k", dag_id="d", run_id="r", task_id="up")
a = [
  ask(dict(type="GetConnection", conn_id="db")), ask(dict(type="GetConnection", conn_id="none")),
  ask(dict(type="GetVariable", key="v")), ask(dict(type="GetVariable", key="none")),
  ask(dict(type="PutVariable", key="v", value="1", description=None)), ask(dict(type="DeleteVariable", key="v")),
  ask(dict(type="GetXCom", **x)), ask(dict(type="GetNumberXComs", **x)), ask(dict(type="GetXComCount", **x)),
  ask(dict(type="GetXComSequenceItem", offset=-1, **x)), ask(dict(type="GetXComSequenceItem", offset=9, **x)),
  ask(dict(type="GetXComSequenceSlice", start=None, stop=None, step=-2, **x)),
  ask(dict(type="TriggerDagRun", dag_id="o", run_id=None, conf={"a": 1}, reset_dag_run=False)),
  ask(dict(type="GetDagRunState", dag_id="o", run_id="r")), ask(dict(type="GetTaskStates", dag_id="o", run_ids=["r"])),
  ask(dict(type="GetTICount", dag_id="o", states=["success", "failed"])), ask(dict(type="GetDRCount", dag_id="o", states=["success"])),
  ask(dict(type="GetTaskRescheduleStartDate", ti_id="x", try_number=1)),
]
xcom(a)`);
    expect(outcome.kind).toBe("success");
    expect(xcoms.get("return_value")).toEqual([
      {
        type: "ConnectionResult",
        conn_id: "db",
        conn_type: "postgres",
        host: null,
        schema: null,
        login: "u",
        password: "p4ss/w?rd+secret",
        port: null,
        extra: '{"api_key":"k-123456789","region":"north-sea"}',
      },
      { type: "ErrorResponse", error: "CONNECTION_NOT_FOUND", detail: { conn_id: "none" } },
      { type: "VariableResult", key: "v", value: "variable-value" },
      { type: "ErrorResponse", error: "VARIABLE_NOT_FOUND", detail: { key: "none" } },
      null,
      { type: "OKResponse", ok: true },
      { type: "ErrorResponse", error: "XCOM_NOT_FOUND", detail: { key: "k", task_id: "up" } },
      { type: "XComLengthResponse", len: 4 },
      { type: "XComLengthResponse", len: 4 },
      { type: "XComSequenceIndexResult", root: 40 },
      { type: "ErrorResponse", error: "XCOM_NOT_FOUND", detail: { key: "k", offset: 9 } },
      { type: "XComSequenceSliceResult", root: [40, 20] },
      { type: "OKResponse", ok: true, run_id: "manual__1" },
      { type: "DagRunStateResult", state: "success" },
      { type: "TaskStatesResult", task_states: { r: { a: "success", b: "failed", c: null } } },
      { type: "TICount", count: 2 },
      { type: "DRCount", count: 1 },
      { type: "TaskRescheduleStartDate", start_date: null },
    ]);
  });

  test("keeps its artifacts, and only those", async () => {
    const told = await stage.run(`
d = os.environ["AIRLOCK_ARTIFACTS"]
open(d + "/report.html", "w").write("<b>ok</b>")
os.mkdir(d + "/sub"); open(d + "/sub/a.csv", "w").write("1,2")
os.symlink("/etc/passwd", d + "/passwd"); os.symlink("/etc", d + "/etc"); os.mkfifo(d + "/pipe")
open(d + "/large", "wb").write(b"x" * (2 << 20))`);
    expect(told.artifacts.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: "report.html", text: "<b>ok</b>" },
      { name: "sub/a.csv", text: "1,2" },
    ]);
    await expect
      .poll(() => told.text)
      .toContain("Artifact passwd was not kept: it is no regular file");
    await expect.poll(() => told.text).toContain("over the limit of 1048576 bytes");
  });

  test("that replaces its artifacts folder by a link gives nothing away", async () => {
    const told = await stage.run(
      "import shutil; shutil.rmtree('artifacts'); os.symlink('/etc', 'artifacts')",
    );
    expect(told.outcome.kind).toBe("success");
    expect(told.artifacts).toEqual([]);
  });

  test("leaves no folder behind", async () => {
    const told = await stage.run(
      "xcom(os.getcwd()); os.makedirs('a/b/c'); open('a/b/c/d', 'w').write('x'); os.symlink('/etc', 'l')",
    );
    const nonce = JSON.stringify(told.xcoms.get("return_value"))
      .replaceAll('"', "")
      .split("/")
      .at(-1) as string;
    const work = join(stage.folder, "state/work");
    await expect
      .poll(() => readdirSync(work).some((guest) => existsSync(join(work, guest, nonce))))
      .toBe(false);
  });

  test("never finds in its folder what another left there, or changed about it", async () => {
    const key = stage.key({ commit: known.commit("b".repeat(40)) });
    const look =
      "xcom([os.getcwd(), sorted(os.listdir('.')), os.listdir('artifacts'), oct(os.stat('.').st_mode & 0o7777)])";
    const leave = [
      "open('left', 'w').write('x')",
      "open(os.environ['AIRLOCK_ARTIFACTS'] + '/left', 'w').write('x')",
      "os.chmod('.', 0o777)",
      "os.rmdir('artifacts')",
      "os.rmdir('artifacts'); os.symlink('/tmp', 'artifacts')",
    ];
    const folders: string[] = [];
    for (const code of ["pass", "pass", ...leave, "pass", "pass"]) {
      const told = await stage.run(`${look}\n${code}`, { key });
      const [cwd, ...seen] = told.xcoms.get("return_value") as [string, ...unknown[]];
      expect(seen).toEqual([["artifacts"], [], "0o700"]);
      folders.push(cwd);
    }
    // Those that were left as they were given are used again, which is what makes this worth a test.
    if (stage.sandbox.groups !== undefined)
      expect(new Set(folders).size).toBeLessThan(folders.length);
  });

  test("may answer callbacks after its outcome, and their words still arrive", async () => {
    const told = await stage.run(
      "ask({'type': 'SucceedTask'}); time.sleep(0.3); print('from the callback', flush=True); os._exit(0)",
    );
    expect(told.outcome.kind).toBe("success");
    expect(told.outcome.usage.wall_ms).toBeLessThan(250);
    await expect.poll(() => told.text).toContain("from the callback");
  });
});

describe("secrets", () => {
  test("never leave in words, reasons, labels or rendered fields, in any of their forms", async () => {
    const told = await stage.run(`
import base64, urllib.parse
p = ask(dict(type="GetConnection", conn_id="db"))["password"]
ask(dict(type="MaskSecret", value="my-own-secret", name="x"))
print("plain", p, "base64", base64.b64encode(("u:" + p).encode()).decode(), "url", urllib.parse.quote(p, safe=""), "json", json.dumps(p + '"'))
sys.stdout.write(p[:7]); sys.stdout.flush(); time.sleep(0.05); sys.stdout.write(p[7:] + "\\n")
print("mine: my-own-secret, extra: k-123456789", flush=True)
ask(dict(type="SetRenderedFields", rendered_fields={"sql": "select '" + p + "'"}))
tell(dict(type="Log", records=[dict(at=time.time() * 1000, level="error", logger="x", event="log " + p)]))
ask(dict(type="SetRenderedMapIndex", rendered_map_index=p))
ask(dict(type="RetryTask", reason="ValueError: " + p))
os._exit(0)`);
    expect(failure(told).reason).toBe("ValueError: ***");
    await expect.poll(() => told.text).toContain("mine: ***, extra: ***");
    await expect.poll(() => told.text).toContain("log ***");
    const all = told.text + JSON.stringify([...told.xcoms]);
    for (const leak of [
      "p4ss",
      "w?rd",
      "my-own",
      "k-1234",
      Buffer.from("p4ss/w?rd").toString("base64").slice(4, -4),
    ])
      expect(all).not.toContain(leak);
    expect(told.text).toContain("\n***\n");
  });
});

describe("words", () => {
  test("cannot forge a line, a colour or a record", async () => {
    const told = await stage.run(
      "sys.stdout.buffer.write(b'a\\x1b[31mred\\x00\\rb \\xff {\"level\":\"error\"}\\r\\n' + 'x\\u2028y\\u202ez\\n'.encode()); sys.stdout.flush()",
    );
    await expect
      .poll(() => told.lines.map((line) => line.text))
      .toEqual(['a\\x1b[31mred\\x00\\x0db \ufffd {"level":"error"}', "x\\u2028y\\u202ez"]);
  });

  test("of an endless line are cut, and nothing is kept in memory", async () => {
    const told = await stage.run(
      "for _ in range(64): sys.stdout.write('y' * 65536)\nsys.stdout.flush()",
    );
    await expect.poll(() => told.lines.length).toBeGreaterThan(200);
    for (const line of told.lines)
      expect(Buffer.byteLength(line.text)).toBeLessThanOrEqual(16 * 1024);
  });

  test("over the rate pause the task instead of filling the house", async () => {
    const told = await stage.run(
      "b = time.time()\nfor _ in range(8): print('z' * 65535, flush=True)\nxcom(time.time() - b)",
      { limits: { logBytesPerSecond: 256 << 10 } },
    );
    expect(told.outcome.usage.wall_ms).toBeGreaterThan(300);
  });

  test("over the limit end the attempt with the limit's name", async () => {
    const told = await stage.run("while True: print('gigabyte ' * 1000)", {
      limits: { logBytes: 1 << 20 },
    });
    expect(failure(told)).toMatchObject({ kind: "failed", limit: "log" });
    expect(failure(told).reason).toContain("1 MiB");
  });
});

describe("limits", () => {
  test("of memory end the attempt with the limit's name, and its neighbour lives", async () => {
    const neighbour = stage.run("time.sleep(1.5); xcom('alive')");
    const told = await stage.run("b = []\nwhile True: b.append(bytearray(8 << 20))");
    if (stage.sandbox.enforces.memory) {
      expect(failure(told)).toMatchObject({ kind: "failed", limit: "memory", retryable: true });
      expect(failure(told).reason).toContain("256 MiB");
    } else expect(failure(told).reason).toContain("MemoryError");
    expect((await neighbour).xcoms.get("return_value")).toBe("alive");
  });

  test("of processes stop a fork bomb, and nothing of it is left", async () => {
    const told = await stage.run(
      `
try:
    while True:
        if os.fork() == 0:
            while True: time.sleep(100)
except OSError as e: raise SystemExit(9)`,
    );
    expect(failure(told).kind).toBe("failed");
    if (stage.sandbox.groups?.enforces.processes === true)
      expect(failure(told).reason).toContain("32 processes");
    expect((await stage.run("xcom('next')")).xcoms.get("return_value")).toBe("next");
  });

  test("of the wall clock end the attempt", async () => {
    const told = await stage.run("time.sleep(100)", { limits: { wallSeconds: 1 } });
    expect(failure(told)).toMatchObject({ kind: "failed", limit: "wall" });
  });

  test("of XComs refuse one value, and end who sends more than could be read", async () => {
    const polite = await stage.run("xcom('x' * 70000)");
    expect(failure(polite)).toMatchObject({ kind: "failed", limit: "xcom" });
    expect(failure(polite).reason).toContain("65536");
    const rude = await stage.run("xcom('x' * (10 << 20))");
    expect(failure(rude)).toMatchObject({ kind: "failed", limit: "xcom", retryable: false });
    expect(failure(rude).reason).toContain("10 MiB");
  });

  test("of one file end the attempt with the limit's name", async () => {
    const told = await stage.run(
      "f = open('big', 'wb')\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nwhile True: f.write(b'x' * (1 << 20))",
      { limits: { fileBytes: 4 << 20 } },
    );
    expect(failure(told)).toMatchObject({ kind: "failed", limit: "file" });
  });
});

describe("a stop", () => {
  test("ends a task that ignores SIGTERM, after five seconds, with all that it started", async () => {
    const stop = new AbortController();
    const mark = `stage-${String(process.pid)}-ignorer`;
    const running = stage.run(
      `
signal.signal(signal.SIGTERM, signal.SIG_IGN)
import subprocess
subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done", "${mark}"], start_new_session=True)
print("up", flush=True)
while True: time.sleep(1)`,
      {
        signal: stop.signal,
        host: {
          log: async (lines) => {
            if (lines.some((line) => line.text === "up")) stop.abort(new Error("cleared by ada"));
          },
        },
      },
    );
    const told = await running;
    expect(told.outcome).toMatchObject({ kind: "stopped", reason: "cleared by ada" });
    expect(told.outcome.usage.wall_ms).toBeGreaterThan(4900);
    await expect.poll(() => survivors(mark)).toEqual([]);
  });

  test("gives a task the time to clean up", async () => {
    const stop = new AbortController();
    const told = await stage.run(
      // Not print: the signal may come while the other print still flushes, and Python refuses to enter it twice.
      "def bye(*_):\n  os.write(1, b'cleaned\\n'); os._exit(1)\nsignal.signal(signal.SIGTERM, bye)\nprint('up', flush=True)\ntime.sleep(100)",
      {
        signal: stop.signal,
        host: {
          log: async (lines) => {
            if (lines.some((line) => line.text === "up")) stop.abort();
            if (lines.some((line) => line.text === "cleaned")) cleaned = true;
          },
        },
      },
    );
    expect(told.outcome).toMatchObject({ kind: "stopped" });
    expect(told.outcome.usage.wall_ms).toBeLessThan(3000);
    expect(cleaned).toBe(true);
  });
  let cleaned = false;

  test("that was asked for before the start starts nothing", async () => {
    const told = await stage.run("xcom(1)", { signal: AbortSignal.abort(new Error("too late")) });
    expect(told.outcome).toMatchObject({ kind: "stopped", reason: "too late" });
    expect(told.xcoms.size).toBe(0);
  });
});

test("an attempt whose limits cannot be set does not begin", async ({ skip }) => {
  const { sandbox } = stage;
  if (sandbox.groups === undefined) return skip("no writable control groups on this machine");
  const unmovable = (group: Group): Group => ({
    ...group,
    move: () => Promise.reject(Object.assign(new Error("EACCES: not ours"), { code: "EACCES" })),
    make: (...asked) => unmovable(group.make(...asked)),
  });
  const groups = sandbox.groups;
  // Beside the stage's own guests, whose names it would take otherwise.
  const runDir = join(sandbox.runDir, "unmovable");
  mkdirSync(runDir, { mode: 0o711 });
  const other = await setStage(undefined, {
    sandbox: {
      ...sandbox,
      runDir,
      groups: {
        ...groups,
        make: (name, limits) => unmovable(groups.make(`unmovable-${name}`, limits)),
      },
    },
  });
  try {
    const told = await other.run("xcom('it ran')");
    expect(told.outcome).toMatchObject({
      kind: "failed",
      retryable: true,
      reason: expect.stringContaining("its limits could not be set: EACCES: not ours") as string,
    });
    expect(told.xcoms.size).toBe(0);
  } finally {
    await other.close();
  }
});

describe("hostile guests", () => {
  test("a level that is no level is info, also where JavaScript knows the word", async () => {
    const lines: unknown[] = [];
    await stage.run(
      "for level in ('constructor', '__proto__', 'ERROR'): tell({'type': 'Log', 'records': [{'level': level, 'event': level, 'at': 1}]})",
      { host: { log: async (batch) => void lines.push(...batch) } },
    );
    await expect
      .poll(() => lines)
      .toMatchObject([
        { level: "info", text: "constructor" },
        { level: "info", text: "__proto__" },
        { level: "error", text: "ERROR" },
      ]);
  });

  test("a daemon that outlives its task is ended", async () => {
    const mark = `stage-${String(process.pid)}-daemon`;
    const told = await stage.run(`
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sh", ["sh", "-c", "while :; do sleep 1; done", "${mark}"])
    os._exit(0)
os.wait(); time.sleep(0.2)`);
    expect(told.outcome.kind).toBe("success");
    await expect.poll(() => survivors(mark)).toEqual([]);
  });

  test.each([
    [
      "a frame that is too long to be true",
      "comms.sendall(b'\\xff\\xff\\xff\\xff'); time.sleep(60)",
      "over the limit",
    ],
    [
      "a frame that declares more than it holds",
      "comms.sendall(struct.pack('>I', 5) + b'\\xdd\\xff\\xff\\xff\\xff'); time.sleep(60)",
      "no message",
    ],
    [
      "a frame nested without end",
      "comms.sendall(struct.pack('>I', 200000) + b'\\x91' * 200000); time.sleep(60)",
      "no message",
    ],
    [
      "a frame that is no request",
      "comms.sendall(frame({'a': 1})); time.sleep(60)",
      "cannot be read",
    ],
    [
      "a time that is none",
      "comms.sendall(frame([1, {'type': 'RescheduleTask', 'reschedule_date': 'soon'}])); time.sleep(60)",
      "cannot be read",
    ],
  ])("%s ends the attempt and not the house", async (_, code, reason) => {
    const told = await stage.run(code);
    expect(failure(told)).toMatchObject({ kind: "failed", retryable: false });
    expect(failure(told).reason).toContain(reason);
    expect((await stage.run("pass")).outcome.kind).toBe("success");
  });

  test("a replayed nonce ends the guest", async () => {
    const own = stage.key({ grants: "replay" });
    const told = await stage.run("hello(nonce, 'comms'); time.sleep(60)", { key: own });
    expect(told.outcome.kind).toBe("failed");
    expect(
      stage.events.some((event) => event.message.includes("nonce was used a second time")),
    ).toBe(true);
    expect((await stage.run("pass", { key: own })).outcome.kind).toBe("success");
  });

  test("an invented nonce is hung up on", async () => {
    const told = await stage.run("s = hello('0' * 32, 'comms'); xcom(len(s.recv(10)))");
    expect(told.xcoms.get("return_value")).toBe(0);
  });

  test("another task's XCom cannot be written", async () => {
    const told = await stage.run(
      "ask({'type': 'SetXCom', 'key': 'k', 'value': 1, 'dag_id': 'd', 'run_id': 'r', 'task_id': 'other', 'map_index': -1})",
    );
    expect(failure(told).reason).toContain("of its own");
    expect(told.xcoms.size).toBe(0);
  });

  test("what JSON cannot say is refused, not rounded", async () => {
    for (const value of ["2**60", "float('nan')"])
      expect(failure(await stage.run(`xcom(${value})`)).kind).toBe("failed");
  });

  test("a task that hangs up and goes on is ended", async () => {
    const told = await stage.run("comms.close(); os.close(1); os.close(2); time.sleep(100)");
    expect(failure(told).reason).toContain("closed its connection");
  });

  test("a zygote that is killed fails its attempts, and the next gets a new one", async () => {
    const own = stage.key({ grants: "killer" });
    const told = await stage.run("os.kill(os.getppid(), 9)\ntime.sleep(1)", { key: own });
    // As the first process of its namespace it cannot be killed from inside; without one it can.
    if (told.outcome.kind === "success") expect(stage.sandbox.binds).toBe(true);
    expect((await stage.run("pass", { key: own })).outcome.kind).toBe("success");
  }, 90_000);

  test("an attempt whose fence is stale is ended", async () => {
    const stale = Object.assign(new Error("stale"), { name: "StaleFence" });
    const told = await stage.run("xcom(1); time.sleep(60)", {
      host: { setXCom: () => Promise.reject(stale) },
    });
    expect(told.outcome.kind).toBe("stopped");
  });
});

describe("a parse", () => {
  test("answers each file for itself, whatever the others do", async () => {
    const files = await stage.parse(
      {
        "dags/good.py":
          "print(ask({'type': 'GetVariable', 'key': 'x'})); done(dags=[{'dag_id': 'a'}], packages=['json'], inputs=[first['file'], BUNDLE + '/dags/lib.py', '/etc/passwd', '../x'], listed=[BUNDLE + '/dags', '.', '/etc'])",
        "dags/loop.py": "while True: pass",
        "dags/exit.py": "print('last words'); sys.stdout.flush(); os._exit(7)",
        "dags/quit.py": "sys.exit(3)",
        "dags/segv.py": "os.kill(os.getpid(), 11)",
        "dags/fork.py":
          "try:\n  while True:\n    if os.fork() == 0: time.sleep(60)\nexcept OSError: os._exit(1)",
        "dags/flood.py": "while True: print('x' * 1000)",
        "dags/fat.py": "b = []\nwhile True: b.append(bytearray(8 << 20))",
        "dags/rude.py": "comms.sendall(struct.pack('>I', 5) + b'\\xc1' * 5); time.sleep(60)",
        "dags/secret.py":
          "v = ask({'type': 'GetVariable', 'key': 'x'})['value']; done(errors=[{'line': 3, 'message': 'bad ' + v, 'hint': 'h', 'traceback': 'a\\n' + v}])",
      },
      { parseSeconds: 2 },
    );
    const of = (name: string) => files.find((file) => file.path === `dags/${name}.py`);
    expect(files).toHaveLength(10);
    expect(of("good")).toMatchObject({
      dags: [{ dag_id: "a" }],
      errors: [],
      packages: ["json"],
      inputs: ["dags/good.py", "dags/lib.py", "dags/", "/"],
    });
    expect(of("loop")?.errors[0]?.message).toContain("after 2 s");
    expect(of("exit")?.errors[0]).toMatchObject({
      message: expect.stringContaining("exit code 7") as string,
      traceback: expect.stringContaining("last words") as string,
    });
    expect(of("quit")?.errors[0]?.message).toContain("exit code 3");
    expect(of("segv")?.errors[0]?.message).toContain("SIGSEGV");
    if (stage.sandbox.groups?.enforces.processes === true)
      expect(of("fork")?.errors[0]?.message).toContain("32 processes");
    expect(of("flood")?.errors[0]?.message).toContain("printed more than");
    if (stage.sandbox.enforces.memory)
      expect(of("fat")?.errors[0]?.message).toContain("memory than the limit of 256 MiB");
    expect(of("rude")?.errors[0]?.message).toContain("connection to the supervisor");
    expect(of("secret")?.errors[0]).toEqual({
      line: 3,
      message: "bad ***",
      hint: "h",
      traceback: "a\n***",
    });
    for (const file of files)
      if (file.path !== "dags/good.py") expect(file.errors[0]?.hint).toBeTruthy();
  }, 60_000);
});

describe("guests", () => {
  test("of different grants share nothing", async () => {
    const pid = "xcom(os.stat('/proc/self/ns/pid').st_ino)";
    const one = await stage.run(pid, { key: stage.key({ grants: "one" }) });
    const same = await stage.run(pid, { key: stage.key({ grants: "one" }) });
    const other = await stage.run(pid, { key: stage.key({ grants: "two" }) });
    expect(same.xcoms.get("return_value")).toBe(one.xcoms.get("return_value"));
    if (stage.sandbox.binds)
      expect(other.xcoms.get("return_value")).not.toBe(one.xcoms.get("return_value"));
  });

  test("of a single use become the attempt, and the next spare is ready before it is asked for", async () => {
    const key = stage.key({ kind: "node" });
    const told = await stage.run("out.write('from node\\n') //END", { key });
    expect(told.outcome.kind).toBe("success");
    await expect.poll(() => told.text).toBe("from node");
    await expect.poll(() => stage.guests.warm(key)).toBe(true);
    const before = stage.guests.stats().started;
    const next = await stage.run("//END", { key });
    expect(next.outcome.kind).toBe("success");
    expect(stage.guests.stats().started - before).toBeLessThanOrEqual(1);
    const crash = await stage.run("process.exit(5) //END", { key });
    expect(crash.outcome).toMatchObject({ kind: "failed", exit_code: 5 });
  });

  test("of a single use keep the attempt's folder until all that it left is fetched", async () => {
    const code = `
      const fs = process.getBuiltinModule("node:fs");
      const work = process.argv[process.argv.indexOf("--work") + 1];
      const [attempt] = fs.readdirSync(work);
      for (const name of ["a", "b", "c"])
        fs.writeFileSync(work + "/" + attempt + "/artifacts/" + name, "kept");
      out.write(String(fs.readdirSync(work).length)); //END`;
    const kept: string[] = [];
    const work = join(stage.folder, "state/work");
    let folder = "";
    const told = await stage.run(code, {
      key: stage.key({ kind: "node", commit: known.commit("a".repeat(40)) }),
      host: {
        artifact: async ({ name }) => {
          kept.push(name);
          folder ||= readdirSync(work)
            .map((guest) => join(work, guest))
            .filter((guest) =>
              readdirSync(guest).some((attempt) =>
                existsSync(join(guest, attempt, "artifacts", "a")),
              ),
            )
            .join();
          // The process ends right after its last frame: whatever its end sets off has happened by then.
          for (let look = 0; look < 50 && existsSync(folder); look++)
            await new Promise((resolve) => setTimeout(resolve, 10));
        },
      },
    });
    expect(told.outcome.kind).toBe("success");
    expect(kept.sort()).toEqual(["a", "b", "c"]);
    // It was asked to become one attempt only.
    await expect.poll(() => told.text).toBe("1");
    await expect.poll(() => existsSync(folder)).toBe(false);
  });

  test("tell in its log that an attempt's artifacts could not be kept", async () => {
    const told = await stage.run("open(os.environ['AIRLOCK_ARTIFACTS'] + '/a', 'w').write('x')", {
      host: {
        artifact: async () => {
          throw Object.assign(new Error("no place for it"), { code: "ENOENT" });
        },
      },
    });
    expect(told.outcome.kind).toBe("success");
    await expect
      .poll(() => told.text)
      .toContain("The artifacts could not be kept: no place for it.");
  });

  test("give a hundred children at once, each with its own words", async () => {
    const all = await Promise.all(
      Array.from({ length: 100 }, (_, i) => stage.run(`print(${String(i)}); xcom(${String(i)})`)),
    );
    expect(all.map((told) => told.xcoms.get("return_value"))).toEqual(all.map((_, i) => i));
    await expect.poll(() => all.map((told) => told.text)).toEqual(all.map((_, i) => String(i)));
  });

  test("that cannot start say why", async () => {
    const told = await stage.run("pass", {
      key: stage.key({ environment: { hash: "gone", interpreter: "/usr/bin/false" } }),
    });
    expect(failure(told)).toMatchObject({ kind: "failed", retryable: true });
    expect(failure(told).reason).toContain("did not start");
    const locked = join(stage.folder, "locked");
    mkdirSync(join(locked, "environment"), { recursive: true, mode: 0o700 });
    const key = stage.key();
    await stage.run("pass", {
      key: {
        ...key,
        environment: { ...key.environment, dir: join(locked, "environment"), hash: "locked" },
      },
    });
    if (stage.sandbox.root)
      expect(stage.events.map(({ message }) => message)).toContainEqual(
        expect.stringMatching(
          /^The python guest of acme: it cannot start: uid \d+ cannot enter \S+locked, which leads to \S+\.$/,
        ),
      );
  });

  test("are told the limit of an XCom, and the DAG folder that the deploy named", async () => {
    const told = await stage.run("xcom([first['airlock']['xcom_bytes'], sys.argv])", {
      key: stage.key({ dagsFolder: "pipelines/etl" }, { xcomBytes: 4321 }),
    });
    const [bytes, command] = told.xcoms.get("return_value") as [number, string[]];
    expect(bytes).toBe(4321);
    expect(command[command.indexOf("--dags-folder") + 1]).toBe("pipelines/etl");
  });

  test("reach what their allow-list names, and nothing else", async () => {
    const server = createServer((socket) => socket.end("hello")).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const code = `
def get(host, port):
    try:
        with socket.create_connection((host, port), timeout=3) as s: return s.recv(10).decode()
    except OSError as e: return "refused"
xcom([get("localhost", ${String(port)}), get("127.0.0.1", ${String(port + 1)}), get("example.org", 443), get("169.254.169.254", 80)])`;
    const open = await stage.run(code, {
      key: stage.key({ egress: [{ host: "localhost", port }] }),
    });
    const shut = await stage.run(code);
    server.close();
    if (!stage.sandbox.enforces.network) return;
    expect(open.xcoms.get("return_value")).toEqual(["hello", "refused", "refused", "refused"]);
    expect(shut.xcoms.get("return_value")).toEqual(["refused", "refused", "refused", "refused"]);
  });
});

test("idle guests end, and after close nothing is left", async () => {
  const own = await setStage(undefined, { idleSeconds: 1 });
  try {
    await own.run("pass");
    expect(own.guests.stats().warm).toBe(1);
    await expect.poll(() => own.guests.stats().warm, { timeout: 5000 }).toBe(0);
    await expect.poll(() => own.guests.stats().ended, { timeout: 5000 }).toBe(1);
    const hanging = own.run("time.sleep(100)");
    await expect.poll(() => own.guests.stats().running).toBe(1);
    await own.guests.close();
    expect((await hanging).outcome.kind).toBe("stopped");
    expect(readdirSync(join(own.folder, "state/work"))).toEqual([]);
  } finally {
    await own.close();
  }
});

test("a guest that starts slowly is not idle while somebody waits for it", async () => {
  const own = await setStage(undefined, { idleSeconds: 1 });
  try {
    const dir = join(own.folder, "slow");
    mkdirSync(dir, { mode: 0o755 });
    const interpreter = join(dir, "python");
    writeFileSync(interpreter, '#!/bin/sh\nsleep 3.5\nexec /usr/bin/python3 "$@"\n', {
      mode: 0o755,
    });
    const key = own.key({ environment: { dir, hash: "slow", interpreter } });
    expect((await own.run("pass", { key })).outcome.kind).toBe("success");
    expect(own.guests.stats().started).toBe(1);
  } finally {
    await own.close();
  }
});

test("all that a task printed is with the house before its outcome is, however slowly its log is kept", async () => {
  const kept: string[] = [];
  const { outcome } = await stage.run("for i in range(12000): print('word', i, '.' * 80)", {
    host: {
      log: async (lines) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        kept.push(...lines.map(({ text }) => text));
      },
    },
  });
  const atTheOutcome = kept.at(-1);
  expect(outcome.kind).toBe("success");
  expect(atTheOutcome).toMatch(/^word 11999 /);
}, 60_000);
