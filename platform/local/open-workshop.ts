/**
 * The author's bench: the platform's own sandbox, supervisor and environments over a folder, without a server.
 * What runs here runs there the same way.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { openEnvironments } from "../../tenants/environments/open-environments.ts";
import { openSandbox, type Sandbox } from "../../tenants/sandbox/open-sandbox.ts";
import { type OpenGuests, openGuests } from "../../tenants/supervisor/open-guests.ts";
import type { GuestProgram } from "../../tenants/supervisor/place-program.ts";
import { type Answer, bad, good } from "../model/answer.ts";
import type { GuestKind } from "../model/dag-spec.ts";
import type {
  EgressRule,
  EnvironmentRef,
  FileProblem,
  GuestKey,
  GuestLimits,
} from "../model/guest.ts";
import { known } from "../model/ids.ts";
import type { SemanticsLevel } from "../model/states.ts";
import type { Snapshot } from "./take-snapshot.ts";

export type WorkshopSettings = {
  /** Absolute; the sandbox's user must be able to pass through it. */
  readonly stateDir: string;
  readonly sandbox: "auto" | "linux" | "plain";
  readonly programs: { readonly [kind in GuestKind]: GuestProgram };
  /** What the default Python environment holds; the server says the same, so that the two share one. */
  readonly requirements: string;
  /** Progress for people: building an environment, what the sandbox cannot enforce. */
  readonly tell: (line: string) => void;
};

export type Workshop = {
  readonly sandbox: Sandbox;
  readonly guests: OpenGuests;
  /** The Python environment is built the first time a repository needs it. */
  keyFor(
    kind: GuestKind,
    snapshot: Snapshot,
    more: {
      readonly limits: GuestLimits;
      readonly level?: SemanticsLevel;
      readonly egress?: readonly EgressRule[];
    },
  ): Promise<Answer<GuestKey, FileProblem & { readonly path?: string }>>;
  /** An attempt's outcome stands before its process is gone: callbacks and last words come after it. Waits for them, at most as long as they may take. */
  settled(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
};

const settleMsMax = 25_000;

/** As root the author's code drops to a uid that belongs to nobody else. */
export const localUid = 61_200;
const tenant = known.tenant("local");

export async function openWorkshop(settings: WorkshopSettings): Promise<Workshop> {
  const { stateDir, tell } = settings;
  mkdirSync(stateDir, { recursive: true });
  const sandbox = await openSandbox({ want: settings.sandbox, stateDir });
  if (sandbox.driver === "plain") for (const warning of sandbox.warnings) tell(`! ${warning}`);
  const uid = sandbox.root ? localUid : (process.getuid?.() ?? 0);
  const guestsDir = join(stateDir, "local-guests");
  mkdirSync(guestsDir, { recursive: true });
  chmodSync(guestsDir, 0o711);
  const guests = openGuests({
    sandbox,
    stateDir: guestsDir,
    programs: settings.programs,
    onEvent: ({ level, message }) => {
      if (level !== "info") tell(`! ${message}`);
    },
  });
  const environments = openEnvironments({
    sandbox,
    folder: join(stateDir, "environments"),
    requirements: settings.requirements,
    defaultUid: uid,
  });
  const environmentOf = new Map<string, ReturnType<typeof environments.ensure>>();
  const node: EnvironmentRef = {
    hash: `node-${process.versions.node}`,
    interpreter: sandbox.node(),
  };

  return {
    sandbox,
    guests,
    async keyFor(kind, snapshot, more) {
      let environment = node;
      if (kind === "python") {
        const asked =
          environmentOf.get(snapshot.dir) ??
          environments.ensure({ tenant, uid, bundleDir: snapshot.dir, onProgress: tell });
        environmentOf.set(snapshot.dir, asked);
        const made = await asked;
        if (!made.ok) return bad(made.problem);
        environment = made.value;
      }
      return good({
        tenant,
        uid,
        kind,
        repository: known.repository("local"),
        // A working folder is no commit: a name that no other key has keeps its guests apart.
        commit: commitOf(snapshot),
        bundleDir: snapshot.dir,
        environment,
        level: more.level ?? "3",
        grants: "*",
        egress: more.egress ?? [],
        limits: more.limits,
      });
    },
    async settled(signal) {
      const end = Date.now() + settleMsMax;
      while (guests.stats().running > 0 && !signal.aborted && Date.now() < end) await pause(10);
    },
    async close() {
      await guests.close();
      await sandbox.close();
    },
  };
}

const commits = new WeakMap<Snapshot, GuestKey["commit"]>();
function commitOf(snapshot: Snapshot): GuestKey["commit"] {
  const commit = commits.get(snapshot) ?? known.commit(randomBytes(20).toString("hex"));
  commits.set(snapshot, commit);
  return commit;
}
