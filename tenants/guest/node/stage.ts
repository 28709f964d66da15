/** A stage for tests and measurements: a repository in a folder, and a supervisor that speaks PROTOCOL.md to one guest at a time. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DagSpec } from "../../../platform/model/dag-spec.ts";
import type { AttemptStart, FileProblem } from "../../../platform/model/guest.ts";
import { known } from "../../../platform/model/ids.ts";
import { isObject, type Json } from "../../../platform/model/json.ts";
import { FrameReader, frame } from "./frames.ts";

type Message = { readonly type: string; readonly [field: string]: unknown };

export type Facts = {
  readonly terminal: Message | undefined;
  readonly messages: readonly Message[];
  readonly logs: readonly string[];
  readonly stdout: string;
  readonly stderr: string;
  /** What the guest wrote beside the protocol. */
  readonly diagnostics: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly xcoms: ReadonlyMap<string, Json>;
  /** From the fork frame to TaskStarted, to the terminal frame, to the end of the process. */
  readonly startedMs: number | undefined;
  readonly terminalMs: number | undefined;
  readonly ms: number;
};

export type Parsed = {
  readonly dags: readonly DagSpec[];
  readonly errors: readonly FileProblem[];
  readonly warnings: readonly FileProblem[];
  readonly inputs: readonly string[];
  readonly packages: readonly string[];
};

export type Host = {
  readonly xcoms?: Map<string, Json>;
  readonly variables?: Readonly<Record<string, string>>;
  readonly connections?: Readonly<Record<string, object>>;
  /** Called with every message; an answer instead of the stage's own. */
  readonly answer?: (message: Message) => object | undefined;
  /** When the task's code begins. */
  readonly onStarted?: (guest: ChildProcess) => void;
};

export class Stage {
  readonly root: string;
  readonly bundle: string;
  readonly #server: Server;
  readonly #program: string;
  #onConnection: (socket: Socket) => void = (socket) => socket.destroy();

  private constructor(root: string, server: Server, program: string) {
    this.root = root;
    this.bundle = join(root, "bundle");
    this.#server = server;
    this.#program = program;
    server.on("connection", (socket) => {
      this.#onConnection(socket);
    });
  }

  /** `files`: the repository, by path. `program`: the guest, from source unless said. */
  static async open(
    files: Readonly<Record<string, string>>,
    program = fileURLToPath(new URL("./main.ts", import.meta.url)),
  ): Promise<Stage> {
    const root = realpathSync(mkdtempSync(join(tmpdir(), "guest-")));
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(join(root, "guest.sock"), resolve));
    const stage = new Stage(root, server, program);
    mkdirSync(stage.bundle);
    for (const [path, text] of Object.entries(files)) stage.write(path, text);
    return stage;
  }

  write(path: string, text: string): void {
    const full = join(this.bundle, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }

  async close(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.root, { recursive: true, force: true });
  }

  async parse(file: string): Promise<Parsed & { readonly facts: Facts }> {
    const facts = await this.#attempt(await this.spare("parse"), (bundle) => ({
      type: "DagFileParseRequest",
      file: join(bundle, file),
      bundle_path: bundle,
      bundle_name: "b",
      callback_requests: [],
      airlock: { dags_folder: "dags" },
    }));
    const { terminal } = facts;
    if (terminal?.type !== "DagFileParsingResult")
      throw new Error(`no parsing result: ${JSON.stringify(facts)}`);
    return { ...(terminal as unknown as Parsed), facts };
  }

  async run(
    start: Partial<AttemptStart> & {
      readonly dag_file: string;
      readonly task_id: AttemptStart["task_id"];
    },
    host: Host = {},
    spare?: Spare,
  ): Promise<Facts> {
    const whole: AttemptStart = {
      attempt: known.attempt("0197a8b0-0000-7000-8000-000000000001"),
      fence: 1,
      dag_id: known.dag("d"),
      map_index: -1,
      try_number: 1,
      max_tries: 0,
      queue: "default",
      pool: "default_pool",
      priority_weight: 1,
      run: runFacts,
      push_length: false,
      ...start,
    };
    return this.#attempt(spare ?? (await this.spare("task")), () => startupDetails(whole), host);
  }

  /** A guest process that has answered `ready`. */
  async spare(kind: "task" | "parse", packages: readonly string[] = []): Promise<Spare> {
    const work = join(this.root, "work");
    mkdirSync(work, { recursive: true });
    const guest = spawn(
      process.execPath,
      [
        this.#program,
        "--socket",
        join(this.root, "guest.sock"),
        "--bundle",
        this.bundle,
        "--dags-folder",
        "dags",
        "--work",
        work,
        "--kind",
        kind,
      ],
      { env: {}, stdio: ["pipe", "pipe", "pipe"] },
    );
    const spare: Spare = { guest, control: new FrameReader(), work, diagnostics: { text: "" } };
    guest.stderr.on("data", (chunk: Buffer) => {
      spare.diagnostics.text += String(chunk);
    });
    guest.stdin.write(frame({ type: "preload", packages }));
    const ready = await nextControl(spare);
    if (ready.type !== "ready")
      throw new Error(`the guest did not get ready: ${JSON.stringify(ready)}`);
    return spare;
  }

  async #attempt(spare: Spare, begin: (bundle: string) => object, host: Host = {}): Promise<Facts> {
    const nonce = randomBytes(16).toString("hex");
    const cwd = join(spare.work, nonce);
    mkdirSync(join(cwd, "artifacts"), { recursive: true });
    const started = performance.now();
    let startedMs: number | undefined;
    let terminalMs: number | undefined;
    const streams = { stdout: "", stderr: "" };
    const messages: Message[] = [];
    const xcoms = host.xcoms ?? new Map<string, Json>();
    const ended = new Promise<void>((resolve) => {
      let open = 3;
      this.#onConnection = (socket) => {
        const reader = new FrameReader();
        let role = "";
        socket.on("error", () => undefined);
        socket.on("close", () => {
          if (--open === 0) resolve();
        });
        socket.on("end", () => socket.end());
        socket.on("data", (chunk: Buffer) => {
          if (role === "stdout" || role === "stderr") {
            streams[role] += String(chunk);
            return;
          }
          if (role === "") {
            const length = chunk.readUInt32BE() + 4;
            const [hello] = [...new FrameReader().push(chunk.subarray(0, length))];
            const body = (hello as [number, Record<string, unknown>])[1];
            if (body["nonce"] !== nonce) throw new Error("a wrong nonce");
            role = String(body["role"]);
            if (role === "comms") socket.write(frame([0, begin(this.bundle)]));
            const rest = chunk.subarray(length);
            if (rest.length > 0) socket.emit("data", rest);
            return;
          }
          for (const message of reader.push(chunk)) {
            const [id, body] = message as [number, Message];
            messages.push(body);
            if (body.type === "TaskStarted") startedMs = performance.now() - started;
            if (terminals.has(body.type)) terminalMs ??= performance.now() - started;
            if (body.type === "TaskStarted") host.onStarted?.(spare.guest);
            const answer = silent.has(body.type)
              ? undefined
              : (host.answer?.(body) ?? answerTo(body, xcoms, host));
            if (answer !== undefined && !socket.destroyed) socket.write(frame([id, answer]));
          }
        });
      };
    });
    spare.guest.stdin?.write(
      frame({
        type: "fork",
        nonce,
        env: {
          PATH: process.env["PATH"] ?? "/usr/bin:/bin",
          AIRLOCK_ARTIFACTS: join(cwd, "artifacts"),
        },
        cwd,
      }),
    );
    const exit = new Promise<[number | null, string | null]>((resolve) => {
      spare.guest.on("exit", (code, signal) => {
        resolve([code, signal]);
      });
    });
    const forked = await Promise.race([nextControl(spare), exit]);
    if (!isObject(forked) || forked["type"] !== "forked")
      throw new Error(`no fork: ${JSON.stringify(forked)} ${spare.diagnostics.text}`);
    const [exitCode, signal] = await exit;
    await ended;
    const terminal = messages.find((message) => terminals.has(message.type));
    return {
      terminal,
      messages,
      logs: messages
        .filter((message) => message.type === "Log")
        .flatMap((message) => message["records"] as { level: string; event: string }[])
        .map(({ level, event }) => `${level}: ${event}`),
      ...streams,
      diagnostics: spare.diagnostics.text,
      exitCode,
      signal,
      xcoms,
      startedMs,
      terminalMs,
      ms: performance.now() - started,
    };
  }
}

export type Spare = {
  readonly guest: ChildProcess;
  readonly control: FrameReader;
  readonly work: string;
  readonly diagnostics: { text: string };
};

const silent = new Set(["TaskStarted", "Log"]);
const terminals = new Set([
  "SucceedTask",
  "RetryTask",
  "RescheduleTask",
  "TaskState",
  "DagFileParsingResult",
]);

function nextControl({ guest, control, diagnostics }: Spare): Promise<Message> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      reject(new Error(`the guest ended with ${String(code)}: ${diagnostics.text}`));
    };
    guest.once("exit", onExit);
    const onData = (chunk: Buffer): void => {
      for (const message of control.push(chunk)) {
        guest.off("exit", onExit);
        guest.stdout?.off("data", onData);
        resolve(message as Message);
        return;
      }
    };
    guest.stdout?.on("data", onData);
  });
}

const runFacts: AttemptStart["run"] = {
  run_id: known.run("manual__2026-11-20T06:00:00+00:00"),
  run_type: "manual",
  logical_date: "2026-11-20T06:00:00+00:00",
  data_interval_start: "2026-11-19T06:00:00+00:00",
  data_interval_end: "2026-11-20T06:00:00+00:00",
  run_after: "2026-11-20T06:00:00+00:00",
  start_date: "2026-11-20T06:00:01+00:00",
  conf: {},
  params: {},
  clear_number: 0,
};
export const runWith = (
  params: AttemptStart["run"]["params"],
  conf: Json = {},
): AttemptStart["run"] => ({
  ...runFacts,
  params,
  conf,
});

const startupDetails = (start: AttemptStart): object => ({
  type: "StartupDetails",
  ti: {
    id: start.attempt,
    task_id: start.task_id,
    dag_id: start.dag_id,
    run_id: start.run.run_id,
    try_number: start.try_number,
    map_index: start.map_index,
  },
  dag_rel_path: start.dag_file,
  bundle_info: { name: "b", version: null },
  start_date: start.run.start_date,
  ti_context: {},
  airlock: { ...start, level: "3" },
});

/** XComs are kept under `task[index].key`; −1 is not written. */
export const xcomKey = (task: string, index: number, key = "return_value"): string =>
  `${task}${index < 0 ? "" : `[${index}]`}.${key}`;

function answerTo(message: Message, xcoms: Map<string, Json>, host: Host): object {
  const text = (field: string): string => String(message[field]);
  const missing = (error: string): object => ({ type: "ErrorResponse", error, detail: null });
  const all = (): Json[] =>
    [...xcoms.entries()]
      .map(([key, value]) => [/^(.*)\[(\d+)\]\.(.*)$/.exec(key), value] as const)
      .filter(([match]) => match?.[1] === text("task_id") && match[3] === text("key"))
      .toSorted(([a], [b]) => Number(a?.[2]) - Number(b?.[2]))
      .map(([, value]) => value);
  switch (message.type) {
    case "GetXCom": {
      const value = xcoms.get(xcomKey(text("task_id"), Number(message["map_index"]), text("key")));
      return value === undefined
        ? missing("XCOM_NOT_FOUND")
        : { type: "XComResult", key: message["key"], value };
    }
    case "SetXCom":
      xcoms.set(
        xcomKey(text("task_id"), Number(message["map_index"]), text("key")),
        message["value"] as Json,
      );
      return { type: "OKResponse", ok: true };
    case "GetXComSequenceSlice":
      return { type: "XComSequenceSliceResult", root: all() };
    case "GetXComSequenceItem":
      return { type: "XComSequenceIndexResult", root: all()[Number(message["offset"])] ?? null };
    case "GetVariable": {
      const value = host.variables?.[text("key")];
      return value === undefined
        ? missing("VARIABLE_NOT_FOUND")
        : { type: "VariableResult", key: text("key"), value };
    }
    case "GetConnection": {
      const value = host.connections?.[text("conn_id")];
      return value === undefined
        ? missing("CONNECTION_NOT_FOUND")
        : { type: "ConnectionResult", conn_id: text("conn_id"), ...value };
    }
    default:
      return { type: "OKResponse", ok: true };
  }
}
