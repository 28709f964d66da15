/** What a caller asks of the sandbox and what it gets. Paths are as seen inside; where nothing can be bound they are the host's. */
import type { Readable, Writable } from "node:stream";
import type { EgressRule } from "../../platform/model/guest.ts";
import type { Group } from "./cgroups.ts";
import type { DoorNews } from "./egress.ts";

export type Launch = {
  /** For messages: whose process this is. */
  readonly name: string;
  /** uid on the host; used where root can give one. */
  readonly uid: number;
  /** Absolute program, then its arguments. */
  readonly command: readonly string[];
  readonly binds: readonly Bind[];
  readonly cwd: string;
  readonly env: { readonly [name: string]: string };
  /** Hosts and ports that may be reached; nothing else is. */
  readonly egress: readonly EgressRule[];
  /** Hears what becomes of each connection outside of the guest's network, where it has one of its own. */
  readonly onDoor?: (news: DoorNews) => void;
  readonly limits: ProcessLimits;
  /** The control group that it is in from its first instruction on. */
  readonly group?: Group;
  /** Whether the command is the first process of its namespace, adopts orphans and must reap them (a zygote). */
  readonly first: boolean;
};

export type Bind = {
  readonly from: string;
  readonly to: string;
  readonly access: "read" | "write";
};

/** What one process may take (rlimits); what all of them together may take is the group's. */
type ProcessLimits = {
  readonly memoryBytes: number;
  readonly processes: number;
  readonly openFiles: number;
  readonly fileBytes: number;
};

export type Boxed = {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Host pid of the process that is `pid` inside; undefined if it is not there (any more). */
  hostPid(pid: number): number | undefined;
  /** Host pids of everything inside. */
  hostPids(): readonly number[];
  readonly exited: Promise<Exit>;
  /** SIGKILL for everything inside. */
  kill(): void;
};

/** `signal` also where a launcher in between reported it as 128 + number. */
export type Exit = { readonly code: number | null; readonly signal: string | null };
