import type { GuestKey, Guests } from "../../platform/model/guest.ts";
import type { GuestKind } from "../../platform/model/dag-spec.ts";
import type { Sandbox } from "../sandbox/open-sandbox.ts";

export type GuestsOptions = {
  readonly sandbox: Sandbox;
  /** Absolute folder of the house for work folders and artifacts; tenants' uids must be able to reach it (0711 is enough). */
  readonly stateDir: string;
  /** Our guest programs: absolute folder and the file in it that the interpreter runs. A kind without one answers with a failure. */
  readonly programs: { readonly [kind in GuestKind]?: GuestProgram };
  /** An idle guest ends after this many seconds (default 60). */
  readonly idleSeconds?: number;
  /** Warm guests together should stay below this; least recently used end first (default: a quarter of the machine). */
  readonly memoryBudgetBytes?: number;
  /** What the house should log: a guest that would not start, a reused nonce, a limit that was hit. Never secrets. */
  readonly onEvent?: (event: GuestEvent) => void;
};

export type GuestProgram = { readonly dir: string; readonly entry: string };

export type GuestEvent = {
  readonly level: "info" | "warning" | "error";
  readonly tenant: string;
  readonly message: string;
};

export type GuestStats = {
  readonly warm: number;
  readonly running: number;
  readonly parsing: number;
  readonly started: number;
  readonly ended: number;
  readonly residentBytes: number;
};

export type OpenGuests = Guests & {
  /** Is a guest for this key ready to fork right now? Pure look-up, cheap: the executor asks before it claims. */
  warm(key: GuestKey): boolean;
  /** Starts a guest for this key in the background (after a deploy, at a claim), with the packages that its files import. */
  prepare(key: GuestKey, packages?: readonly string[]): void;
  stats(): GuestStats;
  /** Ends every guest; running attempts answer `stopped`. Resolves when nothing is left running. */
  close(): Promise<void>;
};
