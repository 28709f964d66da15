export type Sandbox = {
  readonly driver: "bubblewrap" | "namespaces" | "plain";
  /** What this driver cannot enforce on this machine, one sentence each: for the start line, doctor and health. */
  readonly warnings: readonly string[];
  readonly enforces: Enforces;
};
export type Enforces = { readonly [what in Fence]: boolean };
export type Fence = "memory" | "cpu" | "processes" | "uid" | "network" | "files" | "syscalls" | "kill";
