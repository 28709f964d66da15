/** The real `airlock` command as a child, with an environment of its own: nothing of the developer's machine leaks in. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export const checkout = join(import.meta.dirname, "..", "..");

export type Said = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};
export type Call = {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** The program; left out: the checkout's. */
  readonly program?: string;
};

export async function airlock(args: readonly string[], call: Call = {}): Promise<Said> {
  const { child, said } = startAirlock(args, call);
  child.stdin?.end(call.input ?? "");
  return said;
}

export function startAirlock(
  args: readonly string[],
  call: Call = {},
): {
  readonly child: ChildProcess;
  readonly said: Promise<Said>;
  readonly seen: (text: string) => Promise<void>;
} {
  const child = spawn(call.program ?? join(checkout, "bin", "airlock.mjs"), args, {
    cwd: call.cwd ?? checkout,
    env: {
      PATH: process.env["PATH"],
      HOME: "/nonexistent",
      XDG_CONFIG_HOME: "/nonexistent",
      ...call.env,
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let hear: () => void = () => undefined;
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString("utf8");
    hear();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
    hear();
  });
  const said = once(child, "close").then(([code]) => ({
    code: code as number | null,
    stdout,
    stderr,
  }));
  return {
    child,
    said,
    seen: (text) =>
      new Promise((resolve, reject) => {
        hear = () => {
          if ((stdout + stderr).includes(text)) resolve();
        };
        hear();
        void said.then(() =>
          reject(new Error(`it ended without saying ${text}:\n${stdout}\n${stderr}`)),
        );
      }),
  };
}
