/** What the author's verbs share: the workshop in this machine's home, a snapshot of the repository, what it holds. */
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEgressRules } from "../../../tenants/registry/egress.ts";
import { NoSandboxError } from "../../../tenants/sandbox/open-sandbox.ts";
import { stoppedAt } from "../../../tenants/sandbox/reach.ts";
import {
  type CheckedFile,
  type CheckedRepository,
  checkRepository,
} from "../../local/check-repository.ts";
import { findRepository } from "../../local/find-repository.ts";
import type { LocalThings } from "../../local/keep-results.ts";
import { localUid, openWorkshop, type Workshop } from "../../local/open-workshop.ts";
import { readConnections, readEnvironmentThings, readVariables } from "../../local/read-things.ts";
import { type Snapshot, takeSnapshot } from "../../local/take-snapshot.ts";
import type { DagSpec } from "../../model/dag-spec.ts";
import type { EgressRule } from "../../model/guest.ts";
import { findHome } from "../home.ts";
import { placeGuests } from "../place-guests.ts";
import { tell } from "../print-answer.ts";
import { failed, wrongUse } from "../problem.ts";

export type Bench = {
  /** Absolute folder of the author's repository. */
  readonly root: string;
  readonly snapshot: Snapshot;
  readonly workshop: Workshop;
  readonly stateDir: string;
  /** Aborted at Ctrl-C. */
  readonly signal: AbortSignal;
  check(only: readonly string[], things?: LocalThings): Promise<CheckedRepository>;
  close(): Promise<void>;
};

export async function openBench(path: string): Promise<Bench> {
  const root = findRepository(path);
  if (root === undefined) throw wrongUse(`there is nothing at ${path}`);
  const stateDir = chooseStateDir();
  const taken = takeSnapshot(root, join(stateDir, "local-bundles"));
  if (!taken.ok) throw failed(taken.problem.message, taken.problem.hint);
  const snapshot = taken.value;
  const abort = new AbortController();
  const interrupt = (): void => {
    if (abort.signal.aborted) process.exit(130);
    tell("stopping; once more to stop at once");
    abort.abort(new Error("interrupted"));
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  let workshop: Workshop;
  try {
    const sources = guestSources();
    const programs = await placeGuests(stateDir, sources);
    workshop = await openWorkshop({
      stateDir,
      sandbox: readSandbox(process.env["AIRLOCK_SANDBOX"]),
      programs,
      requirements: readFileSync(join(sources.python, "requirements.txt"), "utf8"),
      tell,
    });
  } catch (error) {
    snapshot.remove();
    if (error instanceof NoSandboxError) throw failed(error.message, error.hint);
    throw error;
  }
  return {
    root,
    snapshot,
    workshop,
    stateDir,
    signal: abort.signal,
    check: (only, things = noThings()) =>
      checkRepository(workshop, snapshot, {
        root,
        only,
        host: {
          getConnection: async (id) => things.connections.get(id),
          getVariable: async (key) => things.variables.get(key),
        },
        signal: abort.signal,
      }),
    async close() {
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
      await workshop.close();
      snapshot.remove();
    },
  };
}

const noThings = (): LocalThings => ({ connections: new Map(), variables: new Map() });

/** The home of the machine's server where this user may write and the sandbox's user may pass, so that environments are shared; else a folder of one's own. */
function chooseStateDir(): string {
  const root = process.getuid?.() === 0;
  const candidates = [findHome(), ...(root ? ["/var/lib/airlock"] : [])];
  for (const folder of candidates) {
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
      if (!root) return folder;
      chmodSync(folder, 0o711);
      if (passes(folder)) return folder;
    } catch {
      // Not this one.
    }
  }
  const folder = mkdtempSync(join(tmpdir(), "airlock-home-"));
  chmodSync(folder, 0o711);
  tell(
    `! state lies in ${folder}, which ends with this command: no lasting folder can be reached by the sandbox (set AIRLOCK_HOME)`,
  );
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function passes(folder: string): boolean {
  const probe = mkdtempSync(join(folder, "reach-"));
  try {
    chmodSync(probe, 0o755);
    return stoppedAt(probe, localUid) === undefined;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

function readSandbox(text: string | undefined): "auto" | "linux" | "plain" {
  if (text === undefined || text === "") return "auto";
  if (text === "auto" || text === "linux" || text === "plain") return text;
  throw wrongUse(`AIRLOCK_SANDBOX is ${JSON.stringify(text)}`, "it must be auto, linux or plain");
}

/** From a checkout the sources; in the published package what was built of them. */
function guestSources(): {
  readonly python: string;
  readonly node: string;
  readonly builtNode?: string;
} {
  const root = join(import.meta.dirname, "..", "..", "..");
  const guest = join(root, "tenants", "guest");
  const built = join(root, "guest", "node");
  return {
    python: join(guest, "python"),
    node: guest,
    ...(existsSync(built) ? { builtNode: built } : {}),
  };
}

/** Files win over what the shell holds for Airflow. */
export function readThings(options: {
  readonly connections?: string;
  readonly variables?: string;
}): LocalThings {
  const things = readEnvironmentThings(process.env);
  if (options.connections !== undefined) {
    const read = readConnections(readWhole(options.connections));
    if (!read.ok) throw wrongUse(read.problem);
    for (const [id, value] of read.value) things.connections.set(id, value);
  }
  if (options.variables !== undefined) {
    const read = readVariables(readWhole(options.variables));
    if (!read.ok) throw wrongUse(read.problem);
    for (const [key, value] of read.value) things.variables.set(key, value);
  }
  return things;
}

function readWhole(name: string): { readonly name: string; readonly text: string } {
  try {
    return { name, text: readFileSync(name, "utf8") };
  } catch {
    throw wrongUse(`${name} cannot be read`);
  }
}

/** Where a local run may connect to: what was allowed by hand, and the hosts of the connections that were given. */
export function readEgress(allowed: readonly string[], things: LocalThings): readonly EgressRule[] {
  const rules = readEgressRules(allowed);
  if (!rules.ok) throw wrongUse(`--allow: ${rules.problem.replace(/^egress/, "entry ")}`);
  const ofConnections = [...things.connections.values()].flatMap(({ host, port, conn_type }) => {
    const to = port ?? (Object.hasOwn(usualPorts, conn_type) ? usualPorts[conn_type] : undefined);
    return host === undefined || to === undefined || !/^[\w.:-]+$/.test(host)
      ? []
      : [{ host, port: to }];
  });
  return [...rules.value, ...ofConnections].slice(0, 200);
}

const usualPorts: { readonly [type: string]: number } = {
  postgres: 5432,
  mysql: 3306,
  mssql: 1433,
  redis: 6379,
  mongo: 27_017,
  http: 80,
  https: 443,
  sftp: 22,
  ssh: 22,
};

/** The one DAG that is meant: by id, or the only one. */
export function pickDag(
  files: readonly CheckedFile[],
  dagId: string | undefined,
): { readonly spec: DagSpec; readonly file: CheckedFile } {
  const all = files.flatMap((file) => file.dags.map((spec) => ({ spec, file })));
  const ids = all.map(({ spec }) => spec.dag_id).join(", ");
  if (dagId !== undefined) {
    const found = all.find(({ spec }) => spec.dag_id === dagId);
    if (found) return found;
    throw wrongUse(
      `there is no DAG ${JSON.stringify(dagId)}`,
      ids === "" ? undefined : `there are: ${ids}`,
    );
  }
  const [first, second] = all;
  if (first === undefined) throw wrongUse("there is no DAG at this path");
  if (second !== undefined)
    throw wrongUse("there is more than one DAG: name the one you mean", `there are: ${ids}`);
  return first;
}
