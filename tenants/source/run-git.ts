/**
 * The one way a git process starts in this house: own argument list (a tenant's string is never an
 * option), an environment of our making, settings for repositories of strangers, a deadline that ends the
 * whole process group, caps on what it may print and write.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { type Answer, bad, good } from "../../platform/model/answer.ts";

export type GitRequest = {
  /** GIT_DIR. Absent for commands that need no repository. */
  readonly repository?: string;
  readonly args: readonly string[];
  readonly config?: readonly string[];
  readonly env?: { readonly [name: string]: string };
  readonly input?: Buffer | string;
  readonly deadlineMs?: number;
  /** Standard output beyond this ends the process. */
  readonly outputBytesMax?: number;
  /** No file it writes may grow beyond this (a pack without end). */
  readonly fileBytesMax?: number;
  readonly signal?: AbortSignal;
};

export type GitProblem =
  | { readonly kind: "exit"; readonly code: number; readonly message: string }
  | { readonly kind: "deadline"; readonly ms: number }
  | { readonly kind: "output_too_large"; readonly bytes: number }
  | { readonly kind: "aborted" };

export async function runGit(request: GitRequest): Promise<Answer<Buffer, GitProblem>> {
  const chunks: Buffer[] = [];
  const end = await streamGit(request, (chunk) => {
    chunks.push(chunk);
    return "more";
  });
  return end.ok ? good(Buffer.concat(chunks)) : end;
}

/** Like `runGit`, for output that must not be held: `onOutput` sees each chunk and may end it by `enough`. */
export async function streamGit(
  request: GitRequest,
  onOutput: (chunk: Buffer) => "more" | "enough",
): Promise<Answer<"ended" | "enough", GitProblem>> {
  const { deadlineMs = 60_000, outputBytesMax = 32 * 1024 * 1024, signal } = request;
  if (signal?.aborted) return bad({ kind: "aborted" });
  const child = startGit(request, deadlineMs);
  let why: "deadline" | "aborted" | "output" | "enough" | undefined;
  const stop = (reason: typeof why): void => {
    why ??= reason;
    endGroup(child);
  };
  const timer = setTimeout(() => stop("deadline"), deadlineMs);
  const onAbort = (): void => stop("aborted");
  signal?.addEventListener("abort", onAbort, { once: true });

  let bytes = 0;
  const errors: Buffer[] = [];
  let errorBytes = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    if (why !== undefined) return;
    bytes += chunk.length;
    if (bytes > outputBytesMax) stop("output");
    else if (onOutput(chunk) === "enough") stop("enough");
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    errorBytes += chunk.length;
    if (errorBytes < 64 * 1024) errors.push(chunk);
  });
  // git may end without reading its input; its exit code tells, not our broken pipe.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(request.input ?? "");
  try {
    const { code, termination } = await closed(child);
    if (why === "enough") return good("enough");
    if (why === "output") return bad({ kind: "output_too_large", bytes });
    if (why === "aborted") return bad({ kind: "aborted" });
    if (why === "deadline" || code === 124 || code === 137)
      return bad({ kind: "deadline", ms: deadlineMs });
    if (code === 0) return good("ended");
    const said = Buffer.concat(errors).toString("utf8").trim();
    return bad({
      kind: "exit",
      code: code ?? -1,
      message: said === "" ? `git ended with ${termination ?? `code ${code ?? -1}`}` : said,
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * A git process for whoever handles its pipes himself. `timeout` is the second fence: it ends the group
 * even when this process is gone.
 */
export function startGit(
  request: Pick<GitRequest, "repository" | "args" | "config" | "env" | "fileBytesMax">,
  deadlineMs: number,
): ChildProcess {
  const fileBytesMax = request.fileBytesMax ?? 512 * 1024 * 1024;
  return spawn(
    "timeout",
    [
      "-k",
      "2",
      String(Math.ceil(deadlineMs / 1000) + 2),
      "prlimit",
      `--fsize=${fileBytesMax}`,
      "--cpu=120",
      "--core=0",
      "--",
      "git",
      ...[...hostileConfig, ...(request.config ?? [])].flatMap((setting) => ["-c", setting]),
      ...request.args,
    ],
    {
      detached: true,
      cwd: "/",
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        ...gitEnvironment,
        PATH: process.env["PATH"] ?? "/usr/bin:/bin",
        ...(request.repository === undefined ? {} : { GIT_DIR: request.repository }),
        ...request.env,
      },
    },
  );
}

/** SIGKILL to the group: git's children (remote-https, ssh, index-pack) outlive a signal to git alone. */
export function endGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It ended between the look and the kill.
  }
}

async function closed(
  child: ChildProcess,
): Promise<{ code: number | null; termination: string | null }> {
  return new Promise((resolve, reject) => {
    child.once("error", (cause) =>
      reject(
        new Error("git could not be started (git, timeout and prlimit must be installed)", {
          cause,
        }),
      ),
    );
    child.once("close", (code, termination) => resolve({ code, termination }));
  });
}

const gitEnvironment = {
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_ASKPASS: "/bin/false",
  // No ext::, no file://, no plain path; what else is allowed is added per fetch.
  GIT_ALLOW_PROTOCOL: "none",
  GIT_LFS_SKIP_SMUDGE: "1",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_OPTIONAL_LOCKS: "0",
  LC_ALL: "C",
} as const;

export const hostileConfig: readonly string[] = [
  "core.hooksPath=/dev/null",
  "core.symlinks=false",
  "core.fsmonitor=false",
  "core.protectHFS=true",
  "core.protectNTFS=true",
  "core.attributesFile=/dev/null",
  "core.excludesFile=/dev/null",
  "credential.helper=",
  "fetch.fsckObjects=true",
  "transfer.fsckObjects=true",
  "receive.fsckObjects=true",
  "fetch.unpackLimit=1",
  "submodule.recurse=false",
  "fetch.recurseSubmodules=false",
  "http.followRedirects=false",
  "http.lowSpeedLimit=1000",
  "http.lowSpeedTime=10",
  "protocol.version=2",
  "gc.auto=0",
  "maintenance.auto=false",
  "pack.threads=1",
  "safe.directory=*",
];
