/**
 * The same workloads on other orchestrators, in turn in one run with ours: `npm run bench -- --peers DIR`. DIR is a kit
 * with `run.sh PEER WORKLOAD…`, which starts the peer it has installed, prints one JSON object per workload, and leaves
 * nothing running. Theirs run without a sandbox; ours with it.
 */
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Figure, type Name, promises, say, short } from "./measure.ts";

const peers = ["temporal", "hatchet", "airflow3", "airflow2", "prefect", "dagster"] as const;
export type Peer = (typeof peers)[number];

/** What a peer's line says of one of our figures, in the figure's unit. */
type Reading = {
  readonly workload: string;
  readonly value: (line: PeerLine) => number | undefined;
};
/** Seconds unless the field says otherwise. */
type PeerLine = { readonly workload: string; readonly version?: string; readonly runs?: number } & {
  readonly [field: string]: unknown;
};

const field =
  (name: string, times = 1) =>
  (line: PeerLine): number | undefined => {
    const value = line[name];
    return typeof value === "number" && Number.isFinite(value) ? value * times : undefined;
  };

/** Ours is measured under the same name; what has no counterpart is not compared. */
const readings: Readonly<Partial<Record<Name, Reading>>> = {
  "three-steps-p50": { workload: "three-steps", value: field("median_s", 1_000) },
  "three-steps-cpu": {
    workload: "three-steps",
    value: (line) => {
      const own = field("peer_cpu_s_per_run")(line);
      const postgres = field("postgres_cpu_s_per_run")(line);
      return own === undefined || postgres === undefined ? undefined : own + postgres;
    },
  },
  fib40: { workload: "fib40", value: field("median_s") },
  "line-100x10-wall": { workload: "line-100x10", value: field("median_s") },
  "line-100x10-lag": { workload: "line-100x10", value: field("mean_lag_s") },
  "idle-memory": { workload: "idle", value: field("peer_pss_mib", 1.048_576) },
  "idle-cpu": { workload: "idle", value: field("peer_cpu_percent_of_core") },
};
export const comparable = Object.keys(readings) as readonly Name[];

export type PeerFigure = {
  readonly name: Name;
  readonly peer: Peer;
  readonly version: string | null;
  readonly value: number;
  readonly unit: Figure["unit"];
  readonly ours: number;
  /** How many times ours it is: above 1, we are the quicker or smaller. */
  readonly ratio: number;
  readonly samples: number;
};

/** Pure: the figures in a peer's line, beside ours. */
export function compare(
  peer: Peer,
  line: PeerLine,
  ours: ReadonlyMap<Name, number>,
): readonly PeerFigure[] {
  return comparable.flatMap((name) => {
    const reading = readings[name];
    const own = ours.get(name);
    if (reading === undefined || reading.workload !== line.workload || own === undefined) return [];
    const value = reading.value(line);
    if (value === undefined || own <= 0) return [];
    return {
      name,
      peer,
      version: typeof line.version === "string" ? line.version : null,
      value: short(value),
      unit: promises[name][0],
      ours: own,
      ratio: short(value / own),
      samples: line.runs ?? 1,
    };
  });
}

export type PeerKit = { readonly folder: string; readonly installed: readonly Peer[] };

/** The kit in a folder and what it has installed; a string: why it cannot be used, and what to do. */
export function findKit(folder: string): PeerKit | string {
  const command = join(folder, "run.sh");
  if (!existsSync(command))
    return `${folder} holds no run.sh: --peers takes the folder of a kit that runs the same workloads on peers.`;
  try {
    accessSync(command, constants.X_OK);
  } catch {
    return `${command} may not be executed: chmod +x it.`;
  }
  const home = process.env["PEERS_HOME"] ?? join(homedir(), ".cache", "airlock-peers");
  const installed = peers.filter((peer) => existsSync(join(home, peer, "bin")));
  if (installed.length === 0)
    return `${home} holds no peer (looked for ${peers.join(", ")}): run ${join(folder, "setup.sh")} PEER first, or set PEERS_HOME.`;
  return { folder, installed };
}

/** One peer through the workloads that are wanted. Throws where its kit failed: nothing is said of a half measurement. */
export async function measurePeer(
  kit: PeerKit,
  peer: Peer,
  wanted: readonly Name[],
  signal: AbortSignal,
  onLine: (line: PeerLine) => void,
): Promise<void> {
  const workloads = new Set(wanted.flatMap((name) => readings[name]?.workload ?? []));
  say(`${peer}: ${[...workloads].join(", ")}`);
  const child = spawn(join(kit.folder, "run.sh"), [peer, ...workloads], {
    stdio: ["ignore", "pipe", "inherit"],
    signal,
    killSignal: "SIGTERM",
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  for await (const text of createInterface({ input: child.stdout })) {
    const line = readLine(text);
    if (line === undefined) say(`  ${peer} said: ${text.slice(0, 200)}`);
    else onLine(line);
  }
  const code = await ended;
  if (code !== 0)
    throw new Error(`${peer}: run.sh ended with ${String(code)}; see what it said above`);
}

function readLine(text: string): PeerLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "workload" in value
      ? (value as PeerLine)
      : undefined;
  } catch {
    return undefined;
  }
}

export function printPeerFigure(figure: PeerFigure): void {
  process.stdout.write(`${JSON.stringify(figure)}\n`);
  const { name, peer, version, value, unit, ours, ratio } = figure;
  say(`${name}: ${peer} ${version ?? ""} ${value} ${unit}, ours ${ours}: ${ratio} times`);
}
